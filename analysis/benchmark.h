// The time of a video with exact and with reused attention, stage by stage, measured in one run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "analysis/ceilings.h"
#include "analysis/named_attention.h"
#include "pipeline/loaded_model.h"
#include "render/render_setup.h"

namespace flashblock {

/// `exact`, the policy of `attention`, and `first_pass` if that is another one. Throws: ConfigError if it is exact.
std::vector<NamedAttention> benchmark_modes(const AttentionConfig& attention);

/// Latent frames attended to, including the frame block, and those of them that are never evicted; -1: the whole video.
struct BenchmarkWindow {
  int64_t frames = 0, sink_frames = 0;
};

/// What is measured.
struct BenchmarkOptions {
  std::vector<BenchmarkWindow> windows;
  int64_t rounds = 5;             ///< runs of each mode
  int64_t video_rounds = 5;       ///< videos of each mode and kind
  bool exact = true;              ///< exact attention, with the speedups over it
  bool videos = true;             ///< whole videos too, from noise to segments on disk
  bool text = true;               ///< the text encoder
  bool small_vae = true;          ///< the small decoder, on its own and in videos
  bool drawn_frames = false;      ///< synthetic frames are encoded, for a model whose frames are noise
  std::filesystem::path scratch;  ///< folder where the videos are written and deleted
};

/// Times of one kind of work, in seconds: by mode, then run. Modes took turns. Work that does not depend on the mode
/// has one list.
struct WorkTimes {
  std::string work;
  std::vector<std::vector<double>> seconds;
  /// By mode, seconds that its arithmetic would take at the ceilings of the device; 0 or empty where that is not known.
  std::vector<double> least_seconds;
};

/// One video.
struct VideoRun {
  double first_frame_seconds = 0;  ///< from the text embedding until the first frames were in host memory
  double decoded_seconds = 0;      ///< until all were
  double seconds = 0;  ///< until the last segment was on disk; without a decoder, until the last block was denoised
  std::vector<double> block_seconds;  ///< from frame block to frame block, with a full window
  int64_t memory_growth_bytes = 0;    ///< of the device's memory, from the first block with a full window to the last
  int64_t peak_memory_bytes = 0;      ///< of tensors on a GPU, weights included; 0 on the CPU
  double external_share = 0;          ///< share of the external attentions that were computed; 0..1
  std::map<std::string, double> stages;  ///< seconds of `denoise`, `clean pass`, `decode` and `write`
};

/// Videos of one kind, by mode, then run.
struct VideoTimes {
  std::string kind;  ///< `transformer`: only denoised; `full VAE`, `small VAE`: decoded and written
  std::vector<std::vector<VideoRun>> runs;
};

/// What depends on the window.
struct WindowTimes {
  BenchmarkWindow window;               ///< latent frames attended to: those of the video if there was no window
  std::vector<double> external_passes;  ///< by mode: passes of a frame block that compute the external attention (R)
  /// With the window full: `attention`, self-attention of a frame block in all layers and passes, on random queries,
  /// keys and values; `first pass`, `later pass`, `clean pass`, `frame block`, the transformer.
  std::vector<WorkTimes> work;
  /// Of a frame block of the transformer, in separate runs: `linears`, `internal attention`, `external attention`
  /// (with its merge), `internal + external`, `cross attention`, `rest`. In exact mode the first two are one softmax,
  /// and their lists empty.
  std::vector<WorkTimes> split;
  std::vector<VideoTimes> videos;
};

struct VideoBenchmark {
  std::vector<NamedAttention> modes;
  int64_t passes = 0;  ///< denoising passes of a frame block
  int threads = 0;     ///< of the CPU, in each stage of a video
  Ceilings ceilings;
  /// `text encoding` of one prompt; of a frame block in mid-video `VAE decode, full`, `VAE decode, small`, frames
  /// copied to the host, and `encode and write`.
  std::vector<WorkTimes> stages;
  int64_t text_tokens = 0;
  std::string full_vae, small_vae;  ///< which decoders these are
  std::vector<WindowTimes> windows;
};

double median(std::vector<double> values);
/// The smallest value that at least a share `share` (0..1) of all values do not exceed.
double percentile(std::vector<double> values, double share);
/// The median of the ratios of neighboring runs, which other load on the machine changes less than the ratio of the
/// medians. Requires: lists of one length.
double median_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators);

/// Measures the video of `setup` with a random text embedding and without guidance. A decoder that the model does not
/// have is one of the published size with random weights. None if `stop` was requested. Throws: Error.
std::optional<VideoBenchmark> run_benchmark(const RenderSetup& setup, LoadedModel& model,
                                            const BenchmarkOptions& options, const std::stop_token& stop = {});

}  // namespace flashblock
