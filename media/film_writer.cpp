#include "media/film_writer.h"

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

#include "core/atomic_file.h"
#include "core/check.h"
#include "core/error.h"
#include "core/sha256.h"
#include "media/film_joiner.h"
#include "media/frame_conversion.h"
#include "media/piece_encoder.h"

namespace flashblock {
namespace fs = std::filesystem;
namespace {

constexpr const char* kInitChecksum = "init.sha256";  // in each note: of the init segment that its piece goes with
constexpr const char* kInitSegment = "init.mp4";

fs::path folder_of(const fs::path& film) { return film.has_parent_path() ? film.parent_path() : fs::path("."); }

fs::path piece_name(size_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%06zu.m4s", index);
  return name;
}

fs::path note_of(const fs::path& piece) { return fs::path(piece).replace_extension(".safetensors"); }

[[noreturn]] void fail(const std::string& action, const fs::path& path, int error) {
  throw MediaError("cannot " + action + " " + path.string() + ": " + std::strerror(error));
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail("remove", path, error.value());
}

/// True unless the folder holds at most what a run leaves that ends before its first piece.
bool holds_work(const fs::path& parts) {
  if (!fs::is_directory(parts)) return true;
  for (const fs::directory_entry& entry : fs::directory_iterator(parts)) {
    const fs::path name = entry.path().filename(), extension = name.extension();
    const bool early = name == kInitSegment || extension == ".json" || extension == ".yaml" || extension == ".part" ||
                       extension == ".safetensors";  // a piece's note has its name just before the piece
    if (!early) return true;
  }
  return false;
}

void check_nothing_in_the_way(const fs::path& film, ExistingFilm existing) {
  const FilmState state = film_state(film);
  if (existing == ExistingFilm::kReplace || (existing == ExistingFilm::kResume && state != FilmState::kComplete))
    return;
  if (state == FilmState::kUnfinished && holds_work(parts_folder(film))) {
    throw ConfigError(parts_folder(film).string() +
                      " holds an unfinished film: go on with it by --resume, keep it by giving another --output, or "
                      "begin anew with --overwrite");
  }
  if (fs::exists(film)) {
    throw ConfigError(film.string() + " exists" + (existing == ExistingFilm::kResume ? " and is complete" : "") +
                      ": replace it with --overwrite, or choose another name with --output");
  }
}

void check_folder(const fs::path& folder, int64_t needed_bytes) {
  if (!fs::is_directory(folder)) {
    throw MediaError("cannot write to " + folder.string() + ": there is no such folder; create it first");
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) fail("write to", folder, errno);
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (!error && space.available < static_cast<uintmax_t>(needed_bytes)) {
    throw MediaError("the disk of " + folder.string() + " has " + std::to_string(space.available >> 20) +
                     " MiB free, this film may need " + std::to_string((needed_bytes >> 20) + 1) +
                     " MiB: free some space, or choose another place with --output");
  }
}

/// What `NAME.parts` is called while it is deleted.
fs::path leftovers(const fs::path& film) { return fs::path(film).replace_extension(".parts-done"); }

/// Takes the folder for this process; the lock goes with the process, however it ends.
FileDescriptor lock_folder(const fs::path& folder) {
  FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor) fail("open", folder, errno);
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw ConfigError(folder.string() + " is in use: another flashblock writes this film; wait for it, or stop it");
  }
  return descriptor;
}

/// The whole pieces of an earlier run, up to the first that is missing or damaged. Throws: ConfigError if they belong
/// to another init segment.
std::vector<FilmPiece> find_pieces(const fs::path& parts, const std::string& init_checksum) {
  std::vector<FilmPiece> pieces;
  int64_t frames = 0;
  for (;;) {
    const fs::path file = parts / piece_name(pieces.size());
    const auto found = read_note(note_of(file), file);
    if (!found || found->first_frame != frames || found->frames < 1) return pieces;
    if (found->note.texts.at(kInitChecksum) != init_checksum) {
      throw ConfigError(parts.string() +
                        " was begun with another size, frame rate or encoder: continue with the settings of "
                        "that run, or begin anew with --overwrite");
    }
    pieces.push_back({file, frames, found->frames});
    frames += found->frames;
  }
}

/// Pictures as 8-bit RGB, the frames from `limit` on left out.
at::Tensor to_pictures(const at::Tensor& frames, int64_t limit, const FilmFormat& format) {
  FB_CHECK(frames.is_cpu() && frames.dim() == 4 && frames.size(0) >= 1, "wanted pictures on the CPU");
  const at::Tensor kept = frames.narrow(0, 0, std::min(limit, frames.size(0)));
  const at::Tensor pictures = kept.is_floating_point() ? to_rgb24(kept) : kept.contiguous();
  FB_CHECK(pictures.scalar_type() == at::kByte && pictures.size(1) == format.height &&
               pictures.size(2) == format.width && pictures.size(3) == 3,
           "wanted ", format.width, "x", format.height, ", found ", pictures.sizes());
  return pictures;
}

}  // namespace

fs::path parts_folder(const fs::path& film) { return fs::path(film).replace_extension(".parts"); }

FilmState film_state(const fs::path& film) {
  if (fs::exists(parts_folder(film))) return FilmState::kUnfinished;
  return fs::exists(film) ? FilmState::kComplete : FilmState::kAbsent;
}

void remove_leftovers(const fs::path& film) { remove_tree(leftovers(film)); }

void check_film_can_be_written(const fs::path& film, ExistingFilm existing, int64_t needed_bytes) {
  if (film.extension() != ".mp4" || film.stem().empty()) {
    throw ConfigError("the output is '" + film.string() + "', wanted a name that ends in .mp4");
  }
  check_nothing_in_the_way(film, existing);
  check_folder(folder_of(film), needed_bytes);
}

FilmWriter::FilmWriter(fs::path film, const FilmFormat& format, ExistingFilm existing, int64_t frame_limit)
    : film_(std::move(film)), format_(format), frame_limit_(frame_limit), parts_(parts_folder(film_)) {
  format_.validate();
  check_film_can_be_written(film_, existing);
  if (::mkdir(parts_.c_str(), 0777) != 0 && errno != EEXIST) fail("create", parts_, errno);
  lock_ = lock_folder(parts_);
  sync_folder(folder_of(film_));  // the folder's own name survives a power cut, too
  const std::string init_segment = encode_init_segment(format_);
  init_checksum_ = sha256(init_segment);
  if (existing == ExistingFilm::kResume) pieces_ = find_pieces(parts_, init_checksum_);
  keep_pieces(static_cast<int64_t>(pieces_.size()));
  write_file_atomically(this->init_segment(), init_segment);
}

FilmPiece FilmWriter::write(const at::Tensor& frames, const PieceNote& note) {
  const int64_t first_frame = this->frames();
  FilmPiece piece{parts_ / piece_name(pieces_.size()), first_frame, 0};
  const int64_t room = frame_limit_ > 0 ? frame_limit_ - first_frame : frames.size(0);
  if (room <= 0) return piece;
  const at::Tensor pictures = to_pictures(frames, room, format_);
  piece.frames = pictures.size(0);
  const std::string fragment = encode_piece(format_, pictures, first_frame).fragment;
  PieceNote whole = note;
  whole.texts[kInitChecksum] = init_checksum_;
  AtomicFile note_file(note_of(piece.file)), piece_file(piece.file);
  note_file.write(note_bytes(whole, first_frame, piece.frames, fragment));
  piece_file.write(fragment);
  // The folder is synced once for both: a power cut that keeps one of the names only leaves a piece that does not
  // count.
  note_file.commit(FolderSync::kLater);
  piece_file.commit(FolderSync::kLater);
  sync_folder(parts_);
  pieces_.push_back(piece);
  return piece;
}

PieceNote FilmWriter::note(int64_t piece) const {
  const fs::path& file = pieces_.at(static_cast<size_t>(piece)).file;
  auto found = read_note(note_of(file), file);
  if (!found) throw MediaError(note_of(file).string() + " was changed while it was in use: leave the folder alone");
  return std::move(found->note);
}

void FilmWriter::keep_pieces(int64_t count) {
  FB_CHECK(count >= 0 && count <= static_cast<int64_t>(pieces_.size()), count, " of ", pieces_.size(), " pieces");
  pieces_.resize(static_cast<size_t>(count));
  for (const fs::directory_entry& entry : fs::directory_iterator(parts_)) {
    const fs::path name = entry.path().filename();
    const fs::path extension = name.extension();
    const bool ours = extension == ".m4s" || extension == ".safetensors" || extension == ".part";
    if (ours && name.string() >= piece_name(pieces_.size()).string()) remove_tree(entry.path());
  }
}

void FilmWriter::join(const std::map<std::string, std::string>& metadata) {
  if (pieces_.empty()) throw MediaError("cannot write " + film_.string() + ": the film has no frames");
  std::vector<fs::path> files;
  for (const FilmPiece& piece : pieces_) files.push_back(piece.file);
  join_pieces(init_segment(), files, film_, metadata);
}

void FilmWriter::keep_file(const std::string& name, std::string_view text) {
  write_file_atomically(parts_ / name, text);
}

void FilmWriter::remove_parts() {
  // Renamed first: whatever ends the program in between, half a folder is never taken for an unfinished film.
  std::error_code error;
  remove_leftovers(film_);
  fs::rename(parts_, leftovers(film_), error);
  if (error) fail("rename", parts_, error.value());
  remove_leftovers(film_);
  pieces_.clear();
}

fs::path FilmWriter::init_segment() const { return parts_ / kInitSegment; }

int64_t FilmWriter::frames() const { return pieces_.empty() ? 0 : pieces_.back().first_frame + pieces_.back().frames; }

}  // namespace flashblock
