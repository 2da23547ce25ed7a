// What a configured video's bits depend on.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <memory>
#include <vector>

#include "render/render.h"
#include "render/render_setup.h"
#include "render/video_identity.h"
#include "settings/model_file.h"

namespace flashblock {

/// The identity of a video on this machine: program, libraries, device, every setting that alters the video, and the
/// files of those `parts` of its model, without their checksums. Throws: Error for files that cannot be read.
VideoIdentity describe_video(const RenderSetup& setup, at::Device device, at::ScalarType dtype,
                             const std::vector<ModelPart>& parts);

/// The same with the checksums, which are computed in the background.
VideoIdentity identify_video(const RenderSetup& setup, at::Device device, at::ScalarType dtype,
                             const std::vector<ModelPart>& parts);

/// The checksums of its files, which are computed in the background; `config` says whether known ones are kept.
std::shared_ptr<const FileChecksums> start_checksums(const VideoIdentity& identity, const RenderConfig& config);

/// Whether the file holds weights of the model.
bool is_weights(const IdentityFile& file);

/// The order for a video as `render` makes it: its identity, its metadata, its configuration.
RenderOrder order_video(const RenderSetup& setup, VideoIdentity identity);

}  // namespace flashblock
