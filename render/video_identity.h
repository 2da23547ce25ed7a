// What a video's bits depend on, stored with it so that it is only resumed as what it was begun as.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/file_cache.h"
#include "core/file_checksum.h"
#include "media/video_writer.h"
#include "render/render_setup.h"
#include "settings/model_file.h"

namespace flashblock {

/// A file that a video is made from.
struct IdentityFile {
  std::string role;  ///< "transformer", "video"; several files of one role are distinguished by their order
  std::filesystem::path file;
  uintmax_t bytes = 0;
  int64_t modified_ns = 0;  ///< time of the last change; if it and the size are the same, no checksum is computed
  std::string sha256;       ///< empty: not known yet
};

/// Everything that alters a video: program, libraries, device, settings, files. Two runs with equal identities make the
/// same latents and the same video stream, bit for bit.
struct VideoIdentity {
  /// Random id of one unfinished video on disk, stored in its segments; empty before. Not compared.
  std::string id;
  /// Names of settings and the like, and their values, in the order in which differences are reported. A value that
  /// begins with `sha256:` is the digest of a secret and equals the secret itself.
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<IdentityFile> files;
  /// Of `files`, in their order; null: not computed.
  std::shared_ptr<const FileChecksums> checksums;
};

/// The files that weights consist of, which their headers tell: read once for all videos of a model.
/// Thread safety: one thread at a time.
class WeightsFileLists {
 public:
  using Reader = std::function<std::vector<std::filesystem::path>(const WeightsFile&)>;
  /// From headers on disk.
  WeightsFileLists();
  explicit WeightsFileLists(Reader read) : read_(std::move(read)) {}
  /// Throws: as the reader; WeightsError.
  const std::vector<std::filesystem::path>& files_of(const WeightsFile& weights);

 private:
  Reader read_;
  std::map<std::pair<std::filesystem::path, std::string>, std::vector<std::filesystem::path>> known_;
};

/// The identity of a video on this machine, with the files of those `parts` of its model, without their checksums.
/// Sizes and times of the files are those of now; which files they are may be known from an earlier video.
/// Throws: Error for files that cannot be read.
VideoIdentity identify_video(const RenderSetup& setup, at::Device device, at::ScalarType dtype,
                             const std::vector<ModelPart>& parts, WeightsFileLists& weights);

/// Where checksums are kept from run to run: the user's cache, or nowhere.
FileCache checksum_cache(bool use);

/// Starts to compute the checksums of its files in the background; `config.cache` says whether to use and extend the
/// user's cache of them.
std::shared_ptr<const FileChecksums> start_checksums(const VideoIdentity& identity, const RenderConfig& config);

/// The identity as JSON, with the checksums that are known by now.
std::string identity_json(const VideoIdentity& identity);

/// The differences, for a message: "seed: 7 there, 8 here"; empty if the two are the same. Files with equal size and
/// time of change are taken for the same; otherwise checksums decide, and are waited for.
std::string difference(const VideoIdentity& there, const VideoIdentity& here);

/// `video.json` in NAME.parts.
extern const char* const kIdentityFile;

/// Whether NAME.parts holds what a run needs to resume: its identity, or a segment.
bool is_begun(const std::filesystem::path& video);
/// The identity of the unfinished video in NAME.parts. Throws: ConfigError if it is missing or damaged.
VideoIdentity read_unfinished_identity(const std::filesystem::path& video);
/// The same. Throws: ConfigError, too, if it differs from the `wanted` one.
VideoIdentity read_unfinished_identity(const std::filesystem::path& video, const VideoIdentity& wanted);

/// The identity that NAME.json states for a complete video. Throws: ConfigError if it is missing or damaged.
VideoIdentity read_complete_identity(const std::filesystem::path& video);

/// The state of the video `wanted` under the name `video`. Throws: ConfigError, naming the difference, if another
/// video, unfinished or complete, has that name, or one whose identity is not stated.
VideoState find_video(const std::filesystem::path& video, const VideoIdentity& wanted);

}  // namespace flashblock
