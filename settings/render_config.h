// Everything that can be set for one video. The key of each field, its range and its meaning:
// settings/settings_table.cpp.
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
#include "models/transformer_weights.h"
#include "pipeline/recipe.h"
#include "vae/decoder_precision.h"

namespace flashblock {

/// The longest video: ten days. Beyond it numbers of frames and bytes mean nothing.
constexpr int64_t kMostSeconds = 1'000'000;

/// The prompt changes at the frame block that contains this time of the video.
struct PromptChange {
  double seconds = 0;  ///< Range: above 0, before the end of the video.
  std::string prompt;  ///< empty only at a cut: the prompt stays
  bool shot = false;   ///< a shot begins there; so it does, in models that have shots, with the prefix in the prompt
};

/// Arithmetic of the model's parts.
struct PrecisionConfig {
  LinearPrecision linears = LinearPrecision::kNative;    ///< of the transformer's layers
  DecoderPrecision decoder = DecoderPrecision::kNative;  ///< of Wan's decoders
  std::filesystem::path calibration;                     ///< of int8 linears: see LinearCalibration; empty: none
};

/// How a video is encoded and where else it goes.
struct OutputOptions {
  std::string codec;             ///< see resolve_encoding; empty: the one of the output's ending
  std::string pixel_format;      ///< empty: the codec's
  std::filesystem::path audio;   ///< sound, cut or padded to the video; empty: none
  std::vector<std::string> tee;  ///< URLs and files that get the video while it is made: see make_tee
};

/// One video. Its format is the one that the model gives by default. Values stated here are the program's defaults.
struct RenderConfig : VideoDefaults {
  std::string prompt;                  ///< may be empty if a recording that is replayed holds it
  std::vector<PromptChange> timeline;  ///< changes of the prompt
  std::filesystem::path expand;        ///< folder of a language model that writes both, the prompt being a wish
  std::string wish;                    ///< what a language model has written both from; empty: none has
  /// Phrases that are added to the prompts; unset: those of the model's choices that the seed makes.
  std::optional<std::vector<std::string>> choices;
  ModelDescription model;  ///< with the recipe as this video uses it

  /// The files that the settings were read from: configurations, prompts, jobs files and their lists.
  std::vector<std::filesystem::path> sources;

  std::filesystem::path output;  ///< NAME.mp4 or the like; NAME.json and NAME.parts go beside it
  /// `-` or `-.y4m`: the video goes to standard output, `output` ends in kStreamEnding, and no file is left.
  std::string standard_output;
  bool overwrite = false;  ///< replace an existing video or unfinished work; not together with `resume`
  bool resume = false;     ///< continue unfinished work; start where there is none
  bool metadata = true;    ///< put the prompt into NAME.mp4 and NAME.json

  std::optional<int64_t> frames;  ///< length in frames; replaces `seconds`
  std::optional<uint64_t> seed;   ///< of all random numbers; resolve_config draws one if none is given

  /// The video starts from this image, or continues this video. At most one of them.
  std::filesystem::path image;
  std::filesystem::path video;

  AttentionConfig attention;            ///< how the external attention is obtained. Source: arXiv 2602.05305
  std::string device = "auto";          ///< see resolve_device; several: resolve_devices
  int64_t devices_per_video = 1;        ///< that compute it together, unless `device` names several. Range: 1 and up
  std::string decoder_device = "auto";  ///< of the VAE's decoder: see resolve_device; auto: the first of `device`
  std::string dtype = "auto";           ///< of transformer, text encoder and VAE: see resolve_dtype
  PrecisionConfig precision;
  bool cache = true;     ///< keep encoded prompts and checksums of weights in the user's cache folder
  bool offload = false;  ///< LayerPlacement::kStreamed
  bool overlap = true;   ///< decode and write a frame block while the next one is denoised

  EncoderSettings encoder;
  OutputOptions output_options;
  std::filesystem::path contact_sheet;  ///< a PNG with frames from the whole video; empty: none
  std::filesystem::path record;         ///< a recording (pipeline/recording.h) to write; empty: none
  std::filesystem::path replay;         ///< a recording whose inputs are used; empty: none

  /// Number of frames to render; those of a given start come on top.
  int64_t rendered_frames() const {
    return frames ? *frames : std::max<int64_t>(1, std::llround(seconds * static_cast<double>(fps)));
  }
};

/// Throws: ConfigError for an output whose ending is not known.
inline Container output_container(const RenderConfig& config) {
  return config.standard_output.empty() ? container_of(config.output)
                                        : standard_output_container(config.standard_output);
}

/// The video's frames and their encoding. Throws: ConfigError if container, codec and pixel format do not go together.
inline VideoFormat video_format(const RenderConfig& config) {
  return {.width = config.width,
          .height = config.height,
          .fps = config.fps,
          .encoder = config.encoder,
          .encoding = resolve_encoding(output_container(config), config.output_options.codec,
                                       config.output_options.pixel_format)};
}

/// What happens to an existing video, or unfinished work, under the name of this one.
inline ExistingVideo existing_video(const RenderConfig& config) {
  if (config.overwrite) return ExistingVideo::kReplace;
  return config.resume ? ExistingVideo::kResume : ExistingVideo::kRefuse;
}

}  // namespace flashblock
