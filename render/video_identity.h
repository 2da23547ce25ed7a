// What a video's bits depend on, written down so that a video is only continued as what it was begun as.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/file_checksum.h"
#include "media/video_writer.h"

namespace flashblock {

/// A file that a video is made from.
struct IdentityFile {
  std::string role;  ///< "transformer", "video"; several files of one role are told apart by their order
  std::filesystem::path file;
  uintmax_t bytes = 0;
  int64_t modified_ns = 0;  ///< time of the last change; with the size it spares computing the checksum again
  std::string sha256;       ///< empty: not known yet
};

/// Everything that alters a video: program, libraries, device, settings, files. Two runs with equal identities make the
/// same latents and the same video stream, bit for bit.
struct VideoIdentity {
  /// Of one video on disk, drawn when it is begun; empty before. Its segments carry it. No part of any comparison.
  std::string id;
  /// Names of settings and the like, and their values, in the order in which differences are told. A value that begins
  /// with `sha256:` is a secret's digest and equals the secret itself.
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<IdentityFile> files;
  /// Of `files`, in their order; null: not computed.
  std::shared_ptr<const FileChecksums> checksums;
};

/// A file as it is on disk now, without its checksum. Throws: MediaError if it cannot be read.
IdentityFile identity_file(const std::string& role, const std::filesystem::path& file);

/// The identity as JSON, with the checksums if they are computed by now.
std::string identity_json(const VideoIdentity& identity);

/// Throws: ConfigError, naming `where`, if the text is no identity.
VideoIdentity parse_identity(const std::string& json, const std::string& where);

/// What the two differ in, as words for a user: "seed: 7 there, 8 here"; empty if they are the same. A file is the same
/// if its checksum is; size and time of change stand for it while they are equal. Waits for checksums that it needs.
std::string difference(const VideoIdentity& there, const VideoIdentity& here);

/// `video.json` in NAME.parts.
extern const char* const kIdentityFile;

/// The identity of the unfinished video in NAME.parts. Throws: ConfigError if it is missing or damaged.
VideoIdentity read_unfinished_identity(const std::filesystem::path& video);

/// What there is of the video that `wanted` says, under the name `video`. Throws: ConfigError, naming the difference,
/// if what is there, unfinished or complete, is another video or cannot be told.
VideoState find_video(const std::filesystem::path& video, const VideoIdentity& wanted);

}  // namespace flashblock
