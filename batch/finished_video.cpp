#include "batch/finished_video.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "media/video_writer.h"
#include "render/describe_video.h"

namespace flashblock {
namespace {

/// The identity without the facts that matter only for resuming: a finished video may come from another machine.
VideoIdentity portable_part(VideoIdentity identity, bool any_dtype) {
  constexpr std::array kMachine = {"program", "libtorch", "media libraries", "device", "threads"};
  std::erase_if(identity.facts, [&](const auto& fact) {
    const bool of_machine = std::find(kMachine.begin(), kMachine.end(), fact.first) != kMachine.end();
    return of_machine || (any_dtype && fact.first == "dtype");
  });
  return identity;
}

}  // namespace

bool is_video_finished(const BatchVideo& video) {
  const RenderConfig& config = video.config;
  if (video_state(config.output) != VideoState::kComplete) return false;
  try {
    const bool any_dtype = config.dtype == "auto";
    const VideoIdentity existing = portable_part(read_complete_identity(config.output), any_dtype);
    VideoIdentity wanted = portable_part(video.identity, any_dtype);
    std::string differences = difference(existing, wanted);
    if (differences.empty()) return true;
    wanted.checksums = start_checksums(wanted, config);  // files with a new modification time may have the same content
    differences = difference(existing, wanted);
    if (differences.empty()) return true;
    throw ConfigError(config.output.string() + " exists and was made with other settings (" + differences +
                      "): remove it, choose another output for the job, or set overwrite: true");
  } catch (const ConfigError&) {
    if (config.overwrite) return false;
    throw;
  }
}

}  // namespace flashblock
