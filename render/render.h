// One configuration to one video: NAME.mp4 and NAME.json. What every front end calls, and what another program includes
// (docs/render_library.md).
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "pipeline/live_prompts.h"
#include "pipeline/render_session.h"
#include "render/render_setup.h"
#include "render/video_identity.h"
#include "settings/render_config.h"

namespace flashblock {

class LoadedModel;
class TimelineWriter;
class VideoWriter;
struct CostEstimate;

/// A video that can be rendered, as far as that can be checked without reading weights.
struct CheckedVideo {
  RenderSetup setup;
  std::string model_key;  ///< videos with the same key share a loaded model
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  VideoIdentity identity;  ///< its checksums are not computed yet
};

/// How far a video is.
struct RenderProgress {
  int64_t block = 0;                ///< frame blocks on disk
  int64_t blocks = 0;               ///< frame blocks of the video
  int64_t frames = 0;               ///< frames on disk, a given start included
  TransformerCounters transformer;  ///< work up to the newest of them
};

enum class RenderOutcome {
  kComplete,         ///< the video was rendered, or what was missing of it
  kAlreadyComplete,  ///< it existed, made from the same settings and files: nothing was done
  kFinishedEarly,    ///< RenderOptions::finish_early: a shorter video; no files if no frame block was finished
  kStopped,          ///< on the stop token: finished frame blocks are in NAME.parts, to be resumed
};

struct RenderResult {
  RenderOutcome outcome = RenderOutcome::kStopped;
  int64_t frames = 0;          ///< in the video, or in the segments
  int64_t blocks = 0;          ///< frame blocks in them
  int64_t resumed_blocks = 0;  ///< those of them that an earlier run had finished
  RenderCounts counts;         ///< this run's work
  /// Of the video as it is, with the live prompts in its timeline: rendering this gives the same video bit for bit.
  RenderConfig config;
};

/// Receives the events of a render. What it throws ends the render.
/// Thread safety: begin() and stage() are called on the caller's thread, prompt_changed() too; progress() and
/// segments_written() on the writing thread, never at the same time as begin() and stage().
class RenderObserver {
 public:
  virtual ~RenderObserver() = default;
  /// Everything has been checked, and nothing is loaded yet. Not called for a video that is already complete.
  virtual void begin(const RenderSetup& /*setup*/) {}
  virtual void stage(const std::string& /*name*/, const RenderProgress& /*so_far*/) {}
  virtual void progress(const RenderProgress& /*so_far*/) {}
  /// Segments on disk: first those of an earlier run, then after each new one.
  virtual void segments_written(const VideoWriter& /*writer*/) {}
  /// A receiver of the video (output_options.tee) fails, or is back. Any thread.
  virtual void receiver_changed(const std::string& /*what*/) {}
  /// A live prompt is about to take effect, `seconds` into the video; it is stored with the unfinished video.
  virtual void prompt_changed(const TakenPrompt& /*prompt*/, double /*seconds*/) {}
};

/// What happens to files that exist under the video's names.
enum class ExistingFiles {
  kAsConfigured,  ///< as config.resume and config.overwrite say; refused without either
  /// Files of this video are resumed, or left alone if they are complete. Those of another video are replaced with
  /// config.overwrite, and refused without.
  kResumeOrReplace,
};

/// What a front end wants beyond the configuration.
struct RenderOptions {
  ExistingFiles existing = ExistingFiles::kAsConfigured;
  /// Prompts that arrive during the render; null: none. Ignored for a replayed recording, which holds its prompts.
  std::shared_ptr<LivePrompts> prompts;
  /// When requested, the finished frame blocks become the video (RenderOutcome::kFinishedEarly).
  std::stop_token finish_early;
};

/// Renders one video after another. Keeps the loaded model for the next video that can share it (model_key).
/// Thread safety: one thread at a time. Throws, all members: Error.
class Renderer {
 public:
  Renderer();
  ~Renderer();
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  /// Checks a configuration against its model, its input files and the names of its outputs. Reads no weights.
  CheckedVideo check(const RenderConfig& config);

  /// What a checked video is expected to take. Runs one layer and the decoder on a small frame for some seconds.
  CostEstimate estimate(const CheckedVideo& video);

  /// Renders the video of `config` to config.output and writes its NAME.json. Requires: output and seed are set, as
  /// resolve_config sets them.
  /// A resumed video is bit for bit that of one run. If `stop` is requested, frame blocks that are denoised by then are
  /// still written. Throws: Error; finished segments stay in NAME.parts, nothing is under the final name, and unless it
  /// is a ConfigError the model is released.
  RenderResult render(const RenderConfig& config, RenderObserver& observer, const std::stop_token& stop = {},
                      const RenderOptions& options = {});

  /// The model of a configuration, its sizes read but no weights, for sessions of the caller's own. Valid until the
  /// next call of render().
  LoadedModel& model(const RenderConfig& config);

 private:
  struct ModelInUse;
  ModelInUse& find_model(const RenderConfig& config);
  /// Releases all other models: two may not fit into memory.
  ModelInUse& keep_only(const std::string& model_key);

  std::map<std::string, std::unique_ptr<ModelInUse>> models_;  // by model_key
  std::unique_ptr<TimelineWriter> writer_;
};

}  // namespace flashblock
