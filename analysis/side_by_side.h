// All runs of a fidelity analysis in one video.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "analysis/fidelity.h"
#include "media/video_format.h"
#include "media/video_writer.h"

namespace flashblock {

/// The runs' frames at one time beside each other, with their names, as the video shows them. Shape: [H, W, 3] uint8.
at::Tensor side_by_side_frame(const Fidelity& fidelity, int64_t frame);

/// Frame number `frame` of a run, scaled down. Shape: [h, w, 3] uint8.
at::Tensor thumbnail_at(const MeasuredRun& run, int64_t frame);

/// Writes one video that shows all runs at once, each under its name. `format`: its frame size is not used.
/// Throws: ConfigError if the video exists and may not be replaced; MediaError.
void write_side_by_side(const Fidelity& fidelity, const std::filesystem::path& video, VideoFormat format,
                        ExistingVideo existing, const std::map<std::string, std::string>& tags);

}  // namespace flashblock
