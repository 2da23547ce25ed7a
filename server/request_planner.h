// From a client's request to the configuration of a video.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "render/render_setup.h"
#include "server/video.h"
#include "settings/config_file.h"
#include "settings/render_config.h"

namespace flashblock {

/// The limits of a request.
struct VideoLimits {
  double seconds = 600;
  int64_t pixels = 1920 * 1088;  ///< of one frame
  size_t prompt_characters = 4000;
  size_t prompts = 64;  ///< changes in one video's timeline
};

/// A prompt that a client sent under `key`. Throws: ApiError 400.
std::string checked_prompt(const nlohmann::json& value, size_t most_characters, const char* key = "prompt");

/// The later prompts of a video, with the frame blocks at which they take effect.
std::vector<VideoPrompt> planned_timeline(const RenderSetup& setup);

/// Plans videos of the server's one model with the server's settings. A request specifies prompt, length, size and
/// seed, and nothing that names a file. Thread safety: all members may be called from any thread.
class RequestPlanner {
 public:
  /// `layers`: the server's own settings. Throws: ConfigError, WeightsError.
  RequestPlanner(std::vector<ConfigLayer> layers, const ModelSizes& model, const VideoLimits& limits);
  ~RequestPlanner();

  /// The server's own settings, with a placeholder for the prompt.
  const RenderConfig& defaults() const { return defaults_; }
  const VideoLimits& limits() const { return limits_; }

  /// The video that a document requests, checked as far as possible without rendering it. Keys: prompt, model, seconds,
  /// size, seed, timeline; expand: a language model takes the prompt for a wish and writes both; wish: what the client
  /// had them written from. Throws: ApiError 400; 404 for a model that is not the server's.
  Video plan(const nlohmann::json& document) const;
  /// Of a prompt that is sent while a video with these choices is rendered, as those of plan().
  std::vector<std::string> warnings_of(const std::string& prompt, const std::vector<std::string>& choices) const;
  /// What a language model writes for a video, for its client to read and change: wish, prompt, timeline, seed,
  /// seconds, warnings. The model stays loaded for the next one. Keys of the document, errors: as those of plan(),
  /// without a timeline.
  nlohmann::ordered_json write_timeline(const nlohmann::json& document) const;
  /// The configuration of a planned video, without its files. Throws: ConfigError.
  RenderConfig config(const Video& video) const;

 private:
  std::vector<VideoPrompt> timeline(const nlohmann::json& list) const;
  int64_t frames(const nlohmann::json& seconds_or_null) const;

  std::vector<ConfigLayer> layers_;
  ModelSizes model_;
  VideoLimits limits_;
  RenderConfig defaults_;
  std::unique_ptr<TimelineWriter> writer_;
};

}  // namespace flashblock
