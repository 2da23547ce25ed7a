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
#include "pipeline/render_line.h"
#include "pipeline/session_inputs.h"
#include "vae/latent_decoder.h"
#include "vae/latent_encoder.h"

namespace flashblock {

class BlockDenoiser;
class Followers;

/// What the videos of a session have in common.
struct SessionOptions {
  VideoGeometry geometry;
  Recipe recipe;
  AttentionConfig attention;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  ///< of the transformer
  Overlap overlap = Overlap::kOn;
  AttentionObserver* observer = nullptr;   ///< of attention under the prompt, not of guidance; outlives the session
  bool keep_pixels = false;                ///< pass the sink the decoded float frames, too
  std::shared_ptr<RenderLine> line;        ///< on `device`; null: the session makes one
  std::shared_ptr<LatentEncoder> encoder;  ///< for a context rule that encodes frames, which needs it
  /// The other processes that denoise the videos, which have the same recipe and attention; null: this one alone.
  std::shared_ptr<const Followers> followers;
};

/// The part of a video that an earlier run has finished.
struct FinishedPart {
  /// Latents of what was written, in order: the start, if any, then frame blocks. Shape: each [1, F, C, H, W], in the
  /// transformer's dtype, on any device.
  std::vector<at::Tensor> latents;
  /// Called on the caller's thread when transformer and decoder have the state in which that run ended.
  std::function<void()> on_restored;
};

/// Work and memory of a render. `state_bytes` does not depend on the video's length, except for a context without a
/// window.
struct RenderCounts {
  int64_t blocks_written = 0;  ///< frame blocks of this run, without those of the start
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

/// Renders one video after another with one set of loaded weights.
/// Thread safety: none; sessions that share a line render one at a time.
class RenderSession {
 public:
  /// `profile` outlives the session; it gets the stages `denoise`, `clean pass`, `decode` and `write`, `change prompt`
  /// where prompts change, and `restore` for a video that is resumed.
  RenderSession(std::shared_ptr<const VideoTransformer> transformer, std::shared_ptr<LatentDecoder> decoder,
                const SessionOptions& options, Profile& profile);

  /// How attention is computed in the videos rendered from now on.
  void set_attention(const AttentionConfig& attention) { options_.attention = attention; }

  /// Renders the video described by `plan` and `inputs` into `sink`, which is called on one thread.
  /// If `stop` is requested, frame blocks that are already denoised are still decoded and written.
  /// With a `finished` part it resumes after that part, with the same bits as an uninterrupted render: clean passes
  /// rebuild the transformer's context, the latest latents the decoder's feature caches.
  /// Throws: what the sink throws; ConfigError for inputs that do not fit the model; DeviceError if the model's output
  /// is not finite.
  SessionResult render(const VideoPlan& plan, const SessionInputs& inputs, FrameSink& sink,
                       const std::stop_token& stop = {}, const FinishedPart& finished = {});

 private:
  /// One call of render().
  struct Video;

  /// A denoiser, and the decoder, ready for the first frame block that is not finished.
  std::unique_ptr<BlockDenoiser> prepare(Video& video, RenderLine::Run& line);
  std::unique_ptr<BlockDenoiser> make_denoiser(Video& video, const at::Tensor& first_prompt) const;
  /// Rebuilds the state of denoiser and decoder after the finished part.
  void restore(BlockDenoiser& denoiser, Video& video, RenderLine::Run& line);
  void restore_context(BlockDenoiser& denoiser, const Video& video) const;
  /// Timestep of a block's clean pass.
  double clean_timestep(const FrameBlock& block) const;
  /// The live prompt that takes effect at frame block `index`; null: none.
  const LivePrompt* live_prompt(int64_t index, Video& video) const;
  /// Changes to the prompt, live or planned, that takes effect at a block in mid-video, if any, and begins a shot that
  /// begins there.
  void change_prompt(BlockDenoiser& denoiser, const FrameBlock& block, Video& video);
  /// Latents of a block, denoised with `threads` CPU threads or from the start; undefined if a stop was requested.
  at::Tensor next_latents(BlockDenoiser& denoiser, const FrameBlock& block, const Video& video, int threads);

  std::shared_ptr<const VideoTransformer> transformer_;
  std::shared_ptr<LatentDecoder> decoder_;
  SessionOptions options_;
  Profile& profile_;
  std::shared_ptr<RenderLine> line_;
};

}  // namespace flashblock
