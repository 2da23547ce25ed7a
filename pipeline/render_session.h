// Renders one video: denoises frame block after frame block while earlier ones are decoded and written.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "core/profile.h"
#include "models/transformer_state.h"
#include "models/video_geometry.h"
#include "models/video_transformer.h"
#include "pipeline/frame_block.h"
#include "pipeline/frame_sink.h"
#include "pipeline/recipe.h"
#include "pipeline/session_inputs.h"
#include "pipeline/stage_lanes.h"
#include "vae/latent_decoder.h"

namespace flashblock {

class BlockDenoiser;

/// Whether a frame block is decoded and written while the next one is denoised.
enum class Overlap { kOff, kOn };

/// What a session needs to know of its videos, beside their inputs.
struct SessionOptions {
  VideoGeometry geometry;
  Recipe recipe;
  AttentionConfig attention;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  ///< of the transformer
  Overlap overlap = Overlap::kOn;
  AttentionObserver* observer = nullptr;  ///< of the prompt's own attention, not of guidance; outlives the session
  bool keep_pixels = false;               ///< hand the sink the frames as decoded, too
  std::shared_ptr<StageLanes> lanes;      ///< on `device`; null: the session makes its own
};

/// The part of a video that an earlier run has finished.
struct FinishedPart {
  /// What was written, in order: the given start, if any, then frame blocks. Shape: each [1, F, C, H, W], in the
  /// transformer's dtype, on any device.
  std::vector<at::Tensor> latents;
  /// Called when the session is where that run was, on the caller's thread.
  std::function<void()> on_restored;
};

/// What a video took. Constant memory: `state_bytes` does not depend on the video's length, but for a context without a
/// window.
struct RenderCounts {
  int64_t blocks_written = 0;  ///< frame blocks of this run, the given start not counted
  TransformerCounters transformer;
  int64_t evicted_frames = 0;  ///< latent frames that left the window
  int64_t state_bytes = 0;     ///< kept between two frame blocks: the caches of transformer and decoder
};

/// What a session returns of one video.
struct SessionResult {
  RenderCounts counts;
  /// Those of SessionInputs::live that took effect, by frame block.
  std::vector<LivePrompt> live_prompts;
};

/// One video after another on one set of loaded weights. Not thread-safe; sessions that share lanes render one at a
/// time.
class RenderSession {
 public:
  /// `profile` outlives the session; it gets the stages `denoise`, `remember`, `decode` and `write`, and `restore` for
  /// a video that is continued.
  RenderSession(std::shared_ptr<const VideoTransformer> transformer, std::shared_ptr<LatentDecoder> decoder,
                const SessionOptions& options, Profile& profile);

  /// How attention is obtained in the videos to come.
  void set_attention(const AttentionConfig& attention) { options_.attention = attention; }

  /// Renders the video that `plan` and `inputs` say into `sink`, which is called on one thread.
  /// If `stop` is requested, the frame blocks that are denoised by then are still decoded and written.
  /// With a `finished` part it goes on after that, bit for bit as if it had made it: the transformer's context is made
  /// again by the clean passes, the decoder's memory from the latest latents.
  /// Throws: what the sink throws; ConfigError for inputs that do not fit the model; DeviceError if the model's output
  /// is not finite.
  SessionResult render(const VideoPlan& plan, const SessionInputs& inputs, FrameSink& sink,
                       const std::stop_token& stop = {}, const FinishedPart& finished = {});

 private:
  struct LatentBlock {
    int64_t index = 0;
    HandedTensor latents;
    TransformerCounters counters;
  };

  /// A frame block that the decoder's first half is done with.
  struct HalfBlock {
    LatentBlock block;
    LatentDecoder::HalfDecoded half;
  };

  BlockDenoiser make_denoiser(const VideoPlan& plan, const SessionInputs& inputs, const at::Tensor& first_prompt) const;
  /// Brings denoiser and decoder to where they were after the finished part.
  void restore(BlockDenoiser& denoiser, const VideoPlan& plan, const SessionInputs& inputs,
               const FinishedPart& finished, int threads, const std::stop_token& stop);
  void restore_context(BlockDenoiser& denoiser, const VideoPlan& plan, const SessionInputs& inputs,
                       const FinishedPart& finished, const std::stop_token& stop) const;
  void restore_decoder(const std::vector<at::Tensor>& latents, int threads);
  /// The noise level that a block's clean pass is told.
  double clean_timestep(const FrameBlock& block) const;
  /// The live prompt that takes effect at frame block `index`, which is added to `taken`; undefined: none.
  at::Tensor live_prompt(int64_t index, const SessionInputs& inputs, std::vector<LivePrompt>& taken) const;
  /// The prompt that takes effect at frame block `index` > 0, live or planned; undefined: none.
  at::Tensor change_at(int64_t index, const SessionInputs& inputs, std::vector<LivePrompt>& taken) const;
  HalfBlock begin_decoding(const LatentBlock& block, int threads);
  RenderedBlock finish_decoding(const HalfBlock& block, int threads);
  RenderedBlock decode(const LatentBlock& block, int threads);
  /// What the sink gets of a block that was decoded to `pixels`.
  RenderedBlock rendered(const LatentBlock& block, const at::Tensor& latents, const at::Tensor& pixels) const;
  /// Where a stage works; null: on the caller's thread.
  WorkerThread* worker(WorkerThread& lane) const { return options_.overlap == Overlap::kOn ? &lane : nullptr; }

  std::shared_ptr<const VideoTransformer> transformer_;
  std::shared_ptr<LatentDecoder> decoder_;
  SessionOptions options_;
  Profile& profile_;
  std::shared_ptr<StageLanes> lanes_;
};

}  // namespace flashblock
