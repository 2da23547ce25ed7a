// What describes a finished video: the metadata in NAME.mp4, and its sidecar NAME.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/profile.h"
#include "render/render.h"
#include "settings/render_config.h"

namespace flashblock {

/// The configuration as it is published: without the prompts if `metadata` is off, and without `overwrite` and
/// `resume`, which say nothing about the video.
RenderConfig published_config(RenderConfig config);

/// The video's metadata: prompt, seed, model, program and configuration; and, as JSON, role, name and SHA-256 of the
/// files of its identity whose checksums are known by now.
std::map<std::string, std::string> video_tags(const RenderConfig& config, const VideoIdentity& identity = {});

/// NAME.json of NAME.mp4.
std::filesystem::path sidecar_file(const std::filesystem::path& video);

/// What the sidecar of a video says of its file, or of its images, as they were written.
struct DescribedVideo {
  std::string file;  ///< its name
  int64_t frames = 0;
  uintmax_t bytes = 0;      ///< of all images
  int64_t modified_ns = 0;  ///< time of the last change
  std::string sha256;       ///< of several images: of their checksums, one after another; empty: not stated
};

/// None: there is no sidecar that flashblock has written. Earlier versions stated file and frames only.
std::optional<DescribedVideo> described_video(const std::filesystem::path& video);

/// Writes NAME.json of a video; waits for the checksums of its identity. `seconds`: wall-clock time of the whole run.
/// Throws: MediaError if the file cannot be written.
void write_sidecar(const CheckedVideo& video, const RenderResult& result, const Profile& profile, double seconds);

}  // namespace flashblock
