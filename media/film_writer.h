// Writes a film block by block: a folder of playable pieces while it grows, one MP4 when it is complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/file_descriptor.h"
#include "media/film_format.h"
#include "media/piece_note.h"

namespace flashblock {

/// What to do with a film, or unfinished work, that is already there.
enum class ExistingFilm {
  kRefuse,   ///< leave it alone and say so
  kResume,   ///< continue after its last whole piece; a finished film is refused
  kReplace,  ///< the pieces are deleted at once, the old film is replaced when the new one is complete
};

/// What there is of a film.
enum class FilmState {
  kAbsent,      ///< neither film nor pieces
  kUnfinished,  ///< NAME.parts
  kComplete,    ///< NAME.mp4 and no NAME.parts
};

/// One frame block on disk: a closed GOP, one fragment of fragmented MP4 with absolute time.
struct FilmPiece {
  std::filesystem::path file;
  int64_t first_frame = 0;  ///< frames of the film before this piece
  int64_t frames = 0;
};

/// `NAME.parts`, the folder that holds the pieces of `NAME.mp4`.
std::filesystem::path parts_folder(const std::filesystem::path& film);

FilmState film_state(const std::filesystem::path& film);

/// Deletes what a run left that was ended while it deleted `NAME.parts` of the finished film.
void remove_leftovers(const std::filesystem::path& film);

/// Tells early, before any model is loaded, whether `film` can be written.
/// Throws: ConfigError if it does not end in .mp4, or exists and `existing` forbids that; MediaError if its folder is
/// missing, cannot be written, or has less than `needed_bytes` free.
void check_film_can_be_written(const std::filesystem::path& film, ExistingFilm existing, int64_t needed_bytes = 0);

/// Writes one film. While it grows, `NAME.parts/` holds `init.mp4` and `000000.m4s`, `000001.m4s`, ...: each appears
/// whole or not at all, whatever kills the program, and `cat NAME.parts/init.mp4 NAME.parts/0*.m4s` plays. Beside each
/// lies its note, `000000.safetensors`, with checksums of both: a piece counts only with its note. `join` copies them,
/// without encoding again, into `NAME.mp4`. Thread safety: none inside; one thread at a time. Two writers, of two
/// processes even, never share a film (the folder is locked).
class FilmWriter {
 public:
  /// Creates `NAME.parts` and its init segment, or with kResume takes over the whole pieces that are there.
  /// `frame_limit`: the film's exact length in frames; what is written beyond it is left out. 0: no limit.
  /// Throws: what check_film_can_be_written throws; ConfigError if resumed pieces have another format, or another
  /// program writes this film; MediaError.
  FilmWriter(std::filesystem::path film, const FilmFormat& format, ExistingFilm existing, int64_t frame_limit = 0);
  FilmWriter(const FilmWriter&) = delete;
  FilmWriter& operator=(const FilmWriter&) = delete;

  /// Encodes one frame block and puts its piece and its note on disk, synced. Returns the piece, for a preview say; its
  /// `frames` is 0, and nothing is written, once the frame limit is reached. Shape: `frames` [T, 3, H, W] float in [0,
  /// 1] or [T, H, W, 3] uint8 (to_rgb24), on the CPU, T >= 1. Throws: MediaError (a full disk, a failing encoder); the
  /// pieces before stay whole.
  FilmPiece write(const at::Tensor& frames, const PieceNote& note = {});

  /// The note of a piece. Throws: MediaError if it has been changed since it was checked.
  PieceNote note(int64_t piece) const;

  /// Forgets and deletes all pieces but the first `count`, so that writing goes on from there.
  void keep_pieces(int64_t count);

  /// Copies the pieces into the film, with `metadata` as its tags. Written under another name, synced, renamed.
  /// Throws: MediaError; then nothing is under the final name, and the pieces remain.
  void join(const std::map<std::string, std::string>& metadata);

  /// Puts another file into `NAME.parts`, atomically and synced. Throws: MediaError.
  void keep_file(const std::string& name, std::string_view text);

  /// Deletes `NAME.parts`. Call it when the film is joined.
  void remove_parts();

  const FilmFormat& format() const { return format_; }
  const std::filesystem::path& film() const { return film_; }
  std::filesystem::path init_segment() const;
  /// Whole pieces so far, those of an earlier, interrupted run included.
  const std::vector<FilmPiece>& pieces() const { return pieces_; }
  /// Frames in these pieces.
  int64_t frames() const;

 private:
  std::filesystem::path film_;
  FilmFormat format_;
  int64_t frame_limit_;
  std::filesystem::path parts_;
  FileDescriptor lock_;        ///< the locked folder
  std::string init_checksum_;  ///< of the init segment
  std::vector<FilmPiece> pieces_;
};

}  // namespace flashblock
