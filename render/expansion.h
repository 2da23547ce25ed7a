// A wish becomes a timeline: a language model writes the prompts of a video.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "settings/render_config.h"

namespace flashblock {

/// The prompts of a video, written from a wish.
struct Expansion {
  std::string prompt;                  ///< from the beginning
  std::vector<PromptChange> timeline;  ///< later ones, rising, before the end
  std::vector<std::string> warnings;   ///< words that the model does not know; that the wish is the prompt itself
};

/// A wish, and the video that it is for.
struct Wish {
  std::string text;
  double seconds = 0;  ///< length of the video
  uint64_t seed = 0;   ///< the same seed gives the same prompts
};

/// The prompts in a model's answer, whose times are those of a video of `asked` seconds. Times are scaled to the wish's
/// length, and what does not come before its end is left out. If no line can be used, the wish is the prompt, with a
/// warning.
Expansion read_answer(const std::string& answer, const Wish& wish, double asked);

/// Has language models write the prompts of videos, and keeps the model for the next one. Thread safety: write() may be
/// called from any thread; one timeline is written at a time.
class TimelineWriter {
 public:
  /// Which models stay loaded between two timelines.
  enum class Keep {
    kSmall,  ///< those that were trained to write timelines: a large one would take the memory of the video model
    kAll,
  };
  explicit TimelineWriter(Keep keep = Keep::kSmall);
  ~TimelineWriter();

  /// By the model in `folder` (language/language_folder.h). A folder with a `story.json` holds a model that was trained
  /// for this: it is asked for the nearest length that it knows, the times are scaled, and words that it does not know
  /// are reported. Any other model gets the instructions as a system message. Throws: ConfigError and WeightsError as
  /// open_language_folder and load_language_model.
  Expansion write(const Wish& wish, const std::filesystem::path& folder, at::Device device, at::ScalarType dtype);
  /// The same with config.expand, prompt and seed, on the device that suits the model. `seconds`: length of the video.
  Expansion write(const RenderConfig& config, double seconds);

 private:
  class Model;
  Keep keep_;
  std::mutex mutex_;
  std::string loaded_;  // what model_ was loaded from and for
  std::unique_ptr<const Model> model_;
};

}  // namespace flashblock
