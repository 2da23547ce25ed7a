// From a configuration to a video on disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "core/profile.h"
#include "pipeline/live_prompts.h"
#include "pipeline/loaded_model.h"
#include "pipeline/render_session.h"
#include "render/render_setup.h"
#include "render/video_identity.h"
#include "settings/render_config.h"

namespace flashblock {

class VideoWriter;

/// How far a video is.
struct RenderProgress {
  int64_t block = 0;                ///< frame blocks on disk
  int64_t blocks = 0;               ///< frame blocks of the video
  int64_t frames = 0;               ///< frames on disk, a given start included
  TransformerCounters transformer;  ///< work up to the newest of them
};

/// How a video went.
struct RenderResult {
  bool complete = false;       ///< false: stopped on request; the finished segments are in NAME.parts
  int64_t frames = 0;          ///< in the video, or in the segments
  int64_t blocks = 0;          ///< frame blocks in them
  int64_t resumed_blocks = 0;  ///< those of them that an earlier run had finished
  RenderCounts counts;         ///< this run's work
  /// As it came out: with the prompts that were given while it was rendered in place. Rendered from this, the video is
  /// the same bit for bit.
  RenderConfig config;
};

/// Is told what happens while a video is rendered.
/// Thread safety: stage() and prompt_changed() are called on the caller's thread, the others on the writing thread.
/// stage() never comes at the same time as those; prompt_changed() may.
class RenderObserver {
 public:
  virtual ~RenderObserver() = default;
  virtual void stage(const std::string& /*name*/, const RenderProgress& /*so_far*/) {}
  virtual void progress(const RenderProgress& /*so_far*/) {}
  /// The segments that are on disk: those of an earlier run first, then after each.
  virtual void written(const VideoWriter& /*writer*/) {}
  /// A prompt of RenderOrder::prompts is about to take effect, `seconds` into the video.
  virtual void prompt_changed(const TakenPrompt& /*prompt*/, double /*seconds*/) {}
  /// The video is under its final name, and its segments are still there: what is written now is written again if the
  /// program is killed meanwhile and the video resumed. On the caller's thread.
  virtual void joined(const RenderResult& /*result*/) {}
};

/// What a caller wants of a video, beside what its setup says.
struct RenderOrder {
  /// The video's metadata, from its configuration as it came out.
  std::function<std::map<std::string, std::string>(const RenderConfig&)> tags;
  /// What its bits depend on: kept with the unfinished video, and compared when it is continued.
  VideoIdentity identity;
  /// Kept with the unfinished video, as `configuration.yaml`: how to ask for it again.
  std::string configuration;
  /// Where its prompts change while it is rendered; null: nowhere. Not for a replayed record.
  std::shared_ptr<LivePrompts> prompts;
};

/// Prompts, encoded; the start, encoded; the noise: all that `setup`'s video is made from. Throws: Error.
SessionInputs make_inputs(const RenderSetup& setup, const LoadedModel& model, RenderObserver& observer);

/// How a session renders `setup`'s video, on that model's device and in its lanes.
SessionOptions session_options(const RenderSetup& setup, LoadedModel& model);

/// Renders the video that `setup` says, with the model it was set up for, and puts it under config.output. Requires:
/// config.output and config.seed are set.
/// With config.resume it goes on after the frame blocks that an earlier run finished: latents and video stream are bit
/// for bit those of one run.
/// When `stop` is requested, the frame blocks that are denoised by then are still written.
/// Throws: Error. Segments that are finished by then stay in NAME.parts; nothing is under the final name.
RenderResult render_video(RenderSetup setup, LoadedModel& model, const RenderOrder& order, Profile& profile,
                          RenderObserver& observer, const std::stop_token& stop = {});

}  // namespace flashblock
