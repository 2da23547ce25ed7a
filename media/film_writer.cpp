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
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "core/atomic_file.h"
#include "core/check.h"
#include "core/error.h"
#include "media/film_joiner.h"
#include "media/frame_conversion.h"
#include "media/piece_encoder.h"

namespace flashblock {
namespace fs = std::filesystem;
namespace {

fs::path folder_of(const fs::path& film) { return film.has_parent_path() ? film.parent_path() : fs::path("."); }

fs::path piece_name(size_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%06zu.m4s", index);
  return name;
}

std::string read_bytes(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

[[noreturn]] void fail(const std::string& action, const fs::path& path, int error) {
  throw MediaError("cannot " + action + " " + path.string() + ": " + std::strerror(error));
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail("remove", path, error.value());
}

void check_nothing_in_the_way(const fs::path& film, ExistingFilm existing) {
  const bool unfinished = fs::exists(parts_folder(film));
  if (fs::exists(film) && (existing == ExistingFilm::kRefuse || (existing == ExistingFilm::kResume && !unfinished))) {
    throw ConfigError(film.string() + " exists" + (existing == ExistingFilm::kResume ? " and is complete" : "") +
                      ": replace it with --overwrite, or choose another name with --output");
  }
  if (unfinished && existing == ExistingFilm::kRefuse) {
    throw ConfigError(parts_folder(film).string() +
                      " holds an unfinished film: keep it by giving another --output, or begin anew with --overwrite");
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

/// Takes the folder for this process; the lock goes with the process, however it ends.
FileDescriptor lock_folder(const fs::path& folder) {
  FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor) fail("open", folder, errno);
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw ConfigError(folder.string() + " is in use: another flashblock writes this film; wait for it, or stop it");
  }
  return descriptor;
}

/// The whole pieces of an earlier run, up to the first that is missing or damaged.
std::vector<FilmPiece> find_pieces(const fs::path& parts) {
  std::vector<FilmPiece> pieces;
  int64_t frames = 0;
  for (;;) {
    const fs::path file = parts / piece_name(pieces.size());
    if (!fs::exists(file)) return pieces;
    const auto range = frames_of_piece(parts / "init.mp4", file);
    if (!range || range->first_frame != frames) return pieces;
    pieces.push_back({file, frames, range->frames});
    frames += range->frames;
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
  const std::string init_segment = encode_init_segment(format_);
  if (existing == ExistingFilm::kResume && fs::exists(this->init_segment())) {
    if (read_bytes(this->init_segment()) != init_segment) {
      throw ConfigError(parts_.string() +
                        " was begun with another size, frame rate or encoder: continue with the settings of "
                        "that run, or begin anew with --overwrite");
    }
    pieces_ = find_pieces(parts_);
  }
  keep_pieces(static_cast<int64_t>(pieces_.size()));
  write_file_atomically(this->init_segment(), init_segment);
}

FilmPiece FilmWriter::write(const at::Tensor& frames) {
  const int64_t first_frame = this->frames();
  FilmPiece piece{parts_ / piece_name(pieces_.size()), first_frame, 0};
  const int64_t room = frame_limit_ > 0 ? frame_limit_ - first_frame : frames.size(0);
  if (room <= 0) return piece;
  const at::Tensor pictures = to_pictures(frames, room, format_);
  write_file_atomically(piece.file, encode_piece(format_, pictures, first_frame).fragment);
  piece.frames = pictures.size(0);
  pieces_.push_back(piece);
  return piece;
}

void FilmWriter::keep_pieces(int64_t count) {
  FB_CHECK(count >= 0 && count <= static_cast<int64_t>(pieces_.size()), count, " of ", pieces_.size(), " pieces");
  pieces_.resize(static_cast<size_t>(count));
  for (const fs::directory_entry& entry : fs::directory_iterator(parts_)) {
    const fs::path name = entry.path().filename();
    const bool is_piece = name.extension() == ".m4s" || name.extension() == ".part";
    if (is_piece && name.string() >= piece_name(pieces_.size()).string()) remove_tree(entry.path());
  }
}

void FilmWriter::join(const std::map<std::string, std::string>& metadata) {
  if (pieces_.empty()) throw MediaError("cannot write " + film_.string() + ": the film has no frames");
  std::vector<fs::path> files;
  for (const FilmPiece& piece : pieces_) files.push_back(piece.file);
  join_pieces(init_segment(), files, film_, metadata);
}

void FilmWriter::remove_parts() {
  remove_tree(parts_);
  pieces_.clear();
}

fs::path FilmWriter::init_segment() const { return parts_ / "init.mp4"; }

int64_t FilmWriter::frames() const { return pieces_.empty() ? 0 : pieces_.back().first_frame + pieces_.back().frames; }

}  // namespace flashblock
