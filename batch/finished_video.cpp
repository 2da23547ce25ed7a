#include "batch/finished_video.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "media/video_writer.h"
#include "render/describe_video.h"

namespace flashblock {
namespace {

/// The identity without what only continuing a video depends on: a finished one may come from another machine.
VideoIdentity wanted_part(VideoIdentity identity, bool any_dtype) {
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
    const VideoIdentity there = wanted_part(read_complete_identity(config.output), any_dtype);
    VideoIdentity here = wanted_part(video.identity, any_dtype);
    std::string differences = difference(there, here);
    if (differences.empty()) return true;
    here.checksums = start_checksums(here, config);  // files that were touched may still be the same
    differences = difference(there, here);
    if (differences.empty()) return true;
    throw ConfigError(config.output.string() + " is there and is another video (" + differences +
                      "): remove it, give the job another output, or say overwrite: true");
  } catch (const ConfigError&) {
    if (config.overwrite) return false;
    throw;
  }
}

}  // namespace flashblock
