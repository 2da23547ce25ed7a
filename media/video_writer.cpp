#include "media/video_writer.h"

#include <ATen/core/Tensor.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/check.h"
#include "core/error.h"
#include "core/output_path.h"
#include "core/sha256.h"
#include "media/frame_conversion.h"
#include "media/segment_encoder.h"
#include "media/segment_joiner.h"

namespace flashblock {
namespace fs = std::filesystem;
namespace {

constexpr const char* kInitChecksum = "init.sha256";  // in each note: of the segment's init segment
constexpr const char* kInitSegment = "init.mp4";

Remedy another_name() { return {"choose another name", "output", ""}; }

fs::path folder_of(const fs::path& video) { return video.has_parent_path() ? video.parent_path() : fs::path("."); }

fs::path segment_name(size_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%06zu.m4s", index);
  return name;
}

/// The name of `NAME.parts` while it is deleted.
fs::path leftovers(const fs::path& video) { return companion_file(video, ".parts-done"); }

fs::path note_of(const fs::path& segment) { return fs::path(segment).replace_extension(".safetensors"); }

[[noreturn]] void fail(const std::string& action, const fs::path& path, int error) {
  throw MediaError("cannot " + action + " " + path.string() + ": " + std::strerror(error));
}

bool is_segment_name(const fs::path& name) {
  const std::string stem = name.stem().string();
  const bool number = stem.size() >= 6 && stem.find_first_not_of("0123456789") == std::string::npos;
  return number && (name.extension() == ".m4s" || name.extension() == ".safetensors");
}

/// Whether `NAME.parts` may hold a file of this name: one that a run writes, or begins to.
bool is_own_name(fs::path name) {
  if (name.extension() == ".part") name = name.stem();
  const bool kept = name == kInitSegment || name == "video.json" || name == "configuration.yaml" ||
                    name == "prompts.json";  // of keep_file()
  return kept || is_segment_name(name);
}

/// Removes what a run writes into the folder, and the folder if nothing else is in it.
void remove_own_files(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return;
  std::vector<fs::path> own;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (is_own_name(entry.path().filename())) own.push_back(entry.path());
  for (const fs::path& file : own)
    if (!fs::remove(file, error) && error) fail("remove", file, error.value());
  fs::remove(folder, error);
  if (error && error != std::errc::directory_not_empty) fail("remove", folder, error.value());
}

/// Throws: ConfigError if the name of a folder of segments is taken by something that no run has written.
void check_is_own_folder(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(folder, error);
  if (!fs::exists(status)) return;
  std::string found = fs::is_directory(status) ? "" : "is no folder";
  if (fs::is_symlink(status)) found = "is a link";
  if (fs::is_directory(status)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      if (!is_own_name(entry.path().filename())) found = "holds " + entry.path().filename().string();
  }
  if (!found.empty())
    throw ConfigError(folder.string() + " " + found + ", which flashblock did not write, and the video's segments " +
                          "would go there",
                      {.key = "output", .remedies = {another_name()}});
}

/// False if the folder holds only what a run leaves that ends before its first segment.
bool holds_work(const fs::path& parts) {
  if (!fs::is_directory(parts)) return true;
  for (const fs::directory_entry& entry : fs::directory_iterator(parts)) {
    if (entry.path().extension() == ".m4s") return true;  // a segment's note is renamed just before the segment
  }
  return false;
}

void check_nothing_in_the_way(const fs::path& video, ExistingVideo existing) {
  check_is_own_folder(parts_folder(video));
  check_is_own_folder(leftovers(video));
  const VideoState state = video_state(video);
  if (existing == ExistingVideo::kReplace || (existing == ExistingVideo::kResume && state != VideoState::kComplete))
    return;
  if (state == VideoState::kUnfinished && holds_work(parts_folder(video))) {
    throw ConfigError(
        parts_folder(video).string() + " holds an unfinished video",
        {.key = "output",
         .remedies = {{"continue it", "resume", "true"}, another_name(), {"start over", "overwrite", "true"}}});
  }
  if (fs::exists(first_file(video))) {
    throw ConfigError(
        first_file(video).string() + " exists" + (existing == ExistingVideo::kResume ? " and is complete" : ""),
        {.key = "output", .remedies = {{"replace it", "overwrite", "true"}, another_name()}});
  }
}

void check_folder(const fs::path& folder, int64_t needed_bytes) {
  check_folder_is_writable(folder, {.key = "output"});
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (!error && space.available < static_cast<uintmax_t>(needed_bytes)) {
    throw MediaError("the disk of " + folder.string() + " has " + std::to_string(space.available >> 20) +
                         " MiB free, this video may need " + std::to_string((needed_bytes >> 20) + 1) + " MiB",
                     {.key = "output", .remedies = {{"free some space, or choose another place", "output", ""}}});
  }
}

bool is_images(const fs::path& video) {
  return video.extension() != kStreamEnding && container_of(video) == Container::kImages;
}

/// Locks the folder for this process; the lock is released when the process ends, however it ends.
FileDescriptor lock_folder(const fs::path& folder) {
  FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor) fail("open", folder, errno);
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw ConfigError(folder.string() +
                      " is in use: another flashblock process writes this video; wait for it, or stop it");
  }
  return descriptor;
}

/// The complete segments of an earlier run, up to the first that is missing or damaged. Throws: ConfigError if they
/// belong to another init segment.
std::vector<Segment> find_segments(const fs::path& parts, const std::string& init_checksum) {
  std::vector<Segment> segments;
  int64_t frames = 0;
  for (;;) {
    const fs::path file = parts / segment_name(segments.size());
    const auto found = read_note(note_of(file), file);
    if (!found || found->first_frame != frames || found->frames < 1) return segments;
    if (found->note.texts.at(kInitChecksum) != init_checksum) {
      throw ConfigError(
          parts.string() +
              " was begun with another size, frame rate or encoder: continue with the settings of that run",
          {.key = "output", .remedies = {{"start over", "overwrite", "true"}}});
    }
    segments.push_back({file, frames, found->frames});
    frames += found->frames;
  }
}

/// Frames as the encoder takes them, without the frames from `limit` on.
at::Tensor to_encoder_input(const at::Tensor& frames, int64_t limit, const VideoFormat& format) {
  FB_CHECK(frames.is_cpu() && frames.dim() == 4 && frames.size(0) >= 1, "wanted frames on the CPU");
  const at::Tensor kept = frames.narrow(0, 0, std::min(limit, frames.size(0)));
  const bool floats = kept.is_floating_point(), bytes = takes_rgb24(format.encoding);
  FB_CHECK(floats || kept.scalar_type() == at::kByte);
  FB_CHECK(kept.size(floats ? 1 : 3) == 3 && kept.size(floats ? 2 : 1) == format.height &&
               kept.size(floats ? 3 : 2) == format.width,
           "wanted ", format.width, "x", format.height, ", found ", kept.sizes());
  if (bytes) return floats ? to_rgb24(kept) : kept.contiguous();
  return floats ? kept.to(at::kFloat).clamp(0, 1).contiguous() : from_rgb24(kept);
}

}  // namespace

fs::path companion_file(const fs::path& video, const std::string& ending) {
  const bool pattern = video.filename().string().find('%') == 0;
  return pattern ? video.parent_path() / ("frames" + ending) : fs::path(video).replace_extension(ending);
}

fs::path parts_folder(const fs::path& video) { return companion_file(video, ".parts"); }

fs::path first_file(const fs::path& video) { return video.filename() == "%06d.png" ? image_file(video, 1) : video; }

VideoState video_state(const fs::path& video) {
  if (fs::exists(parts_folder(video))) return VideoState::kUnfinished;
  return fs::exists(first_file(video)) ? VideoState::kComplete : VideoState::kAbsent;
}

void remove_leftovers(const fs::path& video) { remove_own_files(leftovers(video)); }

std::vector<fs::path> segment_folders(const fs::path& video) { return {parts_folder(video), leftovers(video)}; }

void remove_segment_folder(const fs::path& video) { remove_own_files(parts_folder(video)); }

void check_video_can_be_written(const fs::path& video, ExistingVideo existing, int64_t needed_bytes) {
  const fs::path folder = folder_of(video);
  const bool made_later = is_images(video) && !fs::exists(folder);
  check_nothing_in_the_way(video, existing);
  check_folder(made_later ? folder_of(folder) : folder, needed_bytes);
}

VideoWriter::VideoWriter(fs::path video, const VideoFormat& format, ExistingVideo existing, int64_t frame_limit)
    : video_(std::move(video)), format_(format), frame_limit_(frame_limit), parts_(parts_folder(video_)) {
  format_.validate();
  check_video_can_be_written(video_, existing);
  if (is_images(video_) && ::mkdir(folder_of(video_).c_str(), 0777) != 0 && errno != EEXIST) {
    fail("create", folder_of(video_), errno);
  }
  if (::mkdir(parts_.c_str(), 0777) != 0 && errno != EEXIST) fail("create", parts_, errno);
  lock_ = lock_folder(parts_);
  sync_folder(folder_of(video_));  // so that the folder itself survives a power failure
  const std::string init_segment = encode_init_segment(format_);
  init_checksum_ = sha256(init_segment);
  if (existing == ExistingVideo::kResume) segments_ = find_segments(parts_, init_checksum_);
  keep_segments(static_cast<int64_t>(segments_.size()));
  write_file_atomically(this->init_segment(), init_segment);
}

Segment VideoWriter::write(const at::Tensor& frames, SegmentNote note) {
  next_frame_ = this->frames();
  return store(encode(frames, std::move(note)));
}

EncodingSegment VideoWriter::encode(const at::Tensor& frames, SegmentNote note) {
  EncodingSegment segment;
  segment.first_frame_ = next_frame_;
  const int64_t room = frame_limit_ > 0 ? frame_limit_ - next_frame_ : frames.size(0);
  if (room <= 0) return segment;
  const at::Tensor rgb = to_encoder_input(frames, room, format_);
  segment.frames_ = rgb.size(0);
  segment.note_ = std::move(note);
  segment.note_.texts[kInitChecksum] = init_checksum_;
  segment.fragment_ = std::async(std::launch::async, [format = format_, rgb, first_frame = next_frame_] {
    return encode_segment(format, rgb, first_frame).fragment;
  });
  next_frame_ += segment.frames_;
  return segment;
}

Segment VideoWriter::store(EncodingSegment encoding) {
  Segment segment{parts_ / segment_name(segments_.size()), encoding.first_frame_, encoding.frames_};
  if (segment.frames == 0) return segment;
  FB_CHECK(segment.first_frame == frames(), "a segment of frame ", segment.first_frame, " after ", frames());
  const std::string fragment = encoding.fragment_.get();
  AtomicFile note_file(note_of(segment.file)), segment_file(segment.file);
  note_file.write(note_bytes(encoding.note_, segment.first_frame, segment.frames, fragment));
  segment_file.write(fragment);
  // The folder is synced once for both: a power failure that keeps only one of the names leaves a segment that is
  // ignored.
  note_file.commit(FolderSync::kLater);
  segment_file.commit(FolderSync::kLater);
  sync_folder(parts_);
  segments_.push_back(segment);
  return segment;
}

SegmentNote VideoWriter::note(int64_t segment) const {
  const fs::path& file = segments_.at(static_cast<size_t>(segment)).file;
  auto found = read_note(note_of(file), file);
  if (!found) throw MediaError(note_of(file).string() + " was modified while it was in use");
  return std::move(found->note);
}

void VideoWriter::keep_segments(int64_t count) {
  FB_CHECK(count >= 0 && count <= static_cast<int64_t>(segments_.size()), count, " of ", segments_.size(), " segments");
  segments_.resize(static_cast<size_t>(count));
  next_frame_ = frames();
  std::vector<fs::path> surplus;
  for (const fs::directory_entry& entry : fs::directory_iterator(parts_)) {
    const fs::path name = entry.path().filename();
    const bool segment = is_segment_name(name) || (name.extension() == ".part" && is_own_name(name));
    if (segment && name.string() >= segment_name(segments_.size()).string()) surplus.push_back(entry.path());
  }
  std::error_code error;
  for (const fs::path& file : surplus)
    if (!fs::remove(file, error) && error) fail("remove", file, error.value());
}

void VideoWriter::join(const std::map<std::string, std::string>& metadata, const fs::path& audio,
                       int64_t replaced_images) {
  if (segments_.empty()) throw MediaError("cannot write " + video_.string() + ": the video has no frames");
  SegmentFiles segments{.init_segment = init_segment(), .files = {}};
  for (const Segment& segment : segments_) segments.files.push_back(segment.file);
  if (is_images(video_)) return write_images(segments, video_, replaced_images);
  join_segments(segments, video_, metadata, audio);
}

void VideoWriter::keep_file(const std::string& name, std::string_view text) {
  write_file_atomically(parts_ / name, text);
}

void VideoWriter::remove_parts() {
  // Renamed first: if the program is killed in between, the rest is not taken for an unfinished video.
  std::error_code error;
  remove_leftovers(video_);
  fs::rename(parts_, leftovers(video_), error);
  if (error) fail("rename", parts_, error.value());
  remove_leftovers(video_);
  segments_.clear();
}

fs::path VideoWriter::init_segment() const { return parts_ / kInitSegment; }

int64_t VideoWriter::frames() const {
  return segments_.empty() ? 0 : segments_.back().first_frame + segments_.back().frames;
}

}  // namespace flashblock
