// The identity of a configured video.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <memory>
#include <vector>

#include "render/render_setup.h"
#include "render/video_identity.h"
#include "settings/model_file.h"

namespace flashblock {

/// The identity of a video on this machine: program, libraries, device, every setting that alters the video, and the
/// files of those `parts` of its model, without their checksums. Throws: Error for files that cannot be read.
VideoIdentity describe_video(const RenderSetup& setup, at::Device device, at::ScalarType dtype,
                             const std::vector<ModelPart>& parts);

/// Starts to compute the checksums of its files in the background; `config.cache` says whether to use and extend the
/// user's cache of them.
std::shared_ptr<const FileChecksums> start_checksums(const VideoIdentity& identity, const RenderConfig& config);

/// Whether the file holds weights of the model.
bool is_weights(const IdentityFile& file);

}  // namespace flashblock
