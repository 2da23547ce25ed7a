// What a video leaves beside its frames: tags inside NAME.mp4, and NAME.json.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <map>
#include <string>

#include "core/profile.h"
#include "render/render.h"
#include "render/video_identity.h"
#include "settings/render_config.h"

namespace flashblock {

/// The configuration as it is told to others: without the prompts if `metadata` is off, and without what was to become
/// of files that were there.
RenderConfig told_config(RenderConfig config);

/// The video's metadata: prompt, seed, model, program and configuration.
std::map<std::string, std::string> video_tags(const RenderConfig& config);

/// NAME.json of NAME.mp4.
std::filesystem::path sidecar_file(const std::filesystem::path& video);

/// How a video was made, for its NAME.json.
struct SidecarContent {
  RenderConfig config;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  VideoPlan plan;
  RenderResult result;
  double seconds = 0;  ///< wall-clock time of the whole run
};

/// `identity` is the video's, with checksums being computed. Throws: MediaError if the file cannot be written.
void write_sidecar(const SidecarContent& account, const Profile& profile, const VideoIdentity& identity);

}  // namespace flashblock
