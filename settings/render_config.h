// Everything that can be set for one video.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "attention/attention_config.h"
#include "media/video_format.h"
#include "media/video_writer.h"
#include "pipeline/recipe.h"

namespace flashblock {

/// The prompt changes at the frame block that contains this time of the video.
struct PromptChange {
  double seconds = 0;  ///< Range: above 0, before the end of the video.
  std::string prompt;
};

/// One video. The defaults here are those of the program; `model` brings its recipe and its video defaults.
struct RenderConfig {
  /// What to show. May be empty if a replayed record holds it.
  std::string prompt;
  /// Changes of the prompt, by time.
  std::vector<PromptChange> timeline;
  /// The model, with the recipe as it is to be used.
  ModelDescription model;

  /// The video, NAME.mp4; NAME.json and NAME.parts go beside it. Empty: a name from seed and prompt.
  std::filesystem::path output;
  /// Replace an existing video, or unfinished work.
  bool overwrite = false;
  /// Go on with unfinished work, begin where there is none. Not together with overwrite.
  bool resume = false;
  /// Put the prompt into NAME.mp4 and NAME.json.
  bool metadata = true;

  /// Pixels; multiples of the model's latent times its patch (16 for Wan models).
  int64_t width = 832;
  int64_t height = 480;
  /// Frames per second. Range: 1 to 240.
  int64_t fps = 16;
  /// Length of what is rendered, in seconds; a given start comes on top. Range: above 0.
  double seconds = 5;
  /// The same in frames; if given, `seconds` does not count. Range: 1 and up.
  std::optional<int64_t> frames;
  /// Of all random numbers. None: drawn, and reported.
  std::optional<uint64_t> seed;

  /// The video starts from this frame, or goes on where this video ends. At most one of them.
  std::filesystem::path image;
  std::filesystem::path video;

  /// How the attention over earlier frame blocks is obtained. Source: arXiv 2602.05305.
  AttentionConfig attention;
  /// auto, cpu, cuda or cuda:N; see resolve_device.
  std::string device = "auto";
  /// auto, float32 or bfloat16, of the transformer, the text encoder and the VAE; see resolve_dtype.
  std::string dtype = "auto";
  /// Keep encoded prompts and checksums of weights from run to run, in the user's cache folder.
  bool cache = true;
  /// Keep the transformer's layers out of the device's memory but for two (LayerPlacement::kStreamed).
  bool offload = false;
  /// Decode and write a frame block while the next one is denoised.
  bool overlap = true;

  /// H.264.
  EncoderSettings encoder;
  /// A PNG that shows the video at a glance; empty: none.
  std::filesystem::path contact_sheet;
  /// Where inputs and results are written down (video_record.h); empty: not.
  std::filesystem::path record;
  /// A record whose inputs are used in place of the program's own; empty: none.
  std::filesystem::path replay;

  /// Frames that are rendered.
  int64_t rendered_frames() const {
    return frames ? *frames : std::max<int64_t>(1, std::llround(seconds * static_cast<double>(fps)));
  }
};

/// How a video of this configuration treats what is there.
inline ExistingVideo existing_video(const RenderConfig& config) {
  if (config.overwrite) return ExistingVideo::kReplace;
  return config.resume ? ExistingVideo::kResume : ExistingVideo::kRefuse;
}

}  // namespace flashblock
