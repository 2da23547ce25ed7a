#include "server/request_planner.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/error.h"
#include "core/error_report.h"
#include "render/render_setup.h"
#include "server/api_error.h"
#include "server/client_text.h"

namespace flashblock {
namespace {

using RequestJson = nlohmann::json;

/// Largest whole number that every JSON reader holds exactly. Source: RFC 8259, section 6.
constexpr uint64_t kLargestSeed = (uint64_t{1} << 53) - 1;

[[noreturn]] void refuse(const std::string& key, const std::string& wanted) {
  throw ApiError({400, "invalid_value", key + ": wanted " + wanted, key});
}

/// Numbers come as numbers, or as OpenAI's clients send them: as text.
double number(const std::string& key, const RequestJson& value, const std::string& wanted) {
  double result = 0;
  if (value.is_number()) {
    result = value.get<double>();
  } else if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), result);
    if (fault != std::errc() || end != text.data() + text.size()) refuse(key, wanted);
  } else {
    refuse(key, wanted);
  }
  if (!std::isfinite(result)) refuse(key, wanted);
  return result;
}

uint64_t whole_number(const std::string& key, const RequestJson& value) {
  const std::string wanted = "a whole number from 0 to " + std::to_string(kLargestSeed);
  uint64_t result = 0;
  if (value.is_number_unsigned()) {
    result = value.get<uint64_t>();
  } else if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), result);
    if (fault != std::errc() || end != text.data() + text.size()) refuse(key, wanted);
  } else {
    refuse(key, wanted);
  }
  if (result > kLargestSeed) refuse(key, wanted);
  return result;
}

std::pair<int64_t, int64_t> size(const RequestJson& value) {
  const std::string wanted = "a size such as 832x480";
  if (!value.is_string()) refuse("size", wanted);
  const std::string& text = value.get_ref<const std::string&>();
  const char *begin = text.data(), *end = begin + text.size();
  int64_t width = 0, height = 0;
  const auto [x, first_fault] = std::from_chars(begin, end, width);
  if (first_fault != std::errc() || x == end || *x != 'x') refuse("size", wanted);
  const auto [rest, second_fault] = std::from_chars(x + 1, end, height);
  if (second_fault != std::errc() || rest != end || width <= 0 || height <= 0) refuse("size", wanted);
  return {width, height};
}

void check_keys(const RequestJson& object, const std::string& where, std::initializer_list<const char*> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string list;
    for (const char* name : known) list += (list.empty() ? "" : ", ") + std::string(name);
    throw ApiError({400, "unknown_key", where + " has a key that is not known here; wanted " + list, key});
  }
}

/// The field of a request that sets a configuration key; empty: none does.
std::string field_of(const Remedy& remedy) {
  constexpr std::array kFields = {"prompt", "seconds", "size", "seed", "timeline"};
  return std::find(kFields.begin(), kFields.end(), remedy.key) == kFields.end() ? "" : remedy.key;
}

/// Of a request that cannot be rendered: without what only the server's own settings name, such as its files.
std::string public_message(const ConfigError& error) {
  const bool of_request = error.key().empty() || !field_of({.key = error.key()}).empty();
  return of_request ? error_line(error.what(), error.remedies(), field_of)
                    : "this request does not fit the server's setting of " + error.key();
}

}  // namespace

RequestPlanner::RequestPlanner(std::vector<ConfigLayer> layers, const TransformerConfig& transformer,
                               const VideoLimits& limits)
    : layers_(std::move(layers)), transformer_(transformer), limits_(limits), defaults_(resolve_config(layers_)) {}

Video RequestPlanner::plan(const RequestJson& document) const {
  if (!document.is_object()) throw ApiError({400, "invalid_json", "wanted a JSON object"});
  check_keys(document, "the request", {"prompt", "model", "seconds", "size", "seed", "timeline"});
  const auto given = [&](const char* key) { return document.contains(key) && !document.at(key).is_null(); };
  if (given("model") && document.at("model") != defaults_.model.name) {
    const std::string wanted = "'" + defaults_.model.name + "', the one that this server has";
    if (!document.at("model").is_string()) refuse("model", wanted);
    throw ApiError({404, "model_not_found", "model: wanted " + wanted, "model"});
  }
  Video video{.model = defaults_.model.name, .fps = defaults_.fps};
  video.prompt = checked_prompt(given("prompt") ? document.at("prompt") : RequestJson(), limits_.prompt_characters);
  if (given("timeline")) video.timeline = timeline(document.at("timeline"));
  std::tie(video.width, video.height) =
      given("size") ? size(document.at("size")) : std::pair(defaults_.width, defaults_.height);
  if (video.width > limits_.pixels / video.height) {
    refuse("size", "at most " + std::to_string(limits_.pixels) + " pixels");
  }
  video.frames = frames(given("seconds") ? document.at("seconds") : RequestJson());
  video.seed = given("seed") ? whole_number("seed", document.at("seed")) : resolve_config(layers_).seed.value();
  try {
    const RenderSetup setup = set_up_render(config(video), transformer_);
    video.timeline.clear();
    for (size_t i = 0; i < setup.change_blocks.size(); ++i) {
      const PromptChange& change = setup.config.timeline[i];
      video.timeline.push_back({.seconds = change.seconds, .text = change.prompt, .block = setup.change_blocks[i]});
    }
  } catch (const ConfigError& error) {
    const std::string otherwise = "the server's settings do not allow this video";
    throw ApiError({400, "invalid_value", client_text(public_message(error), otherwise)});
  }
  return video;
}

std::string checked_prompt(const RequestJson& value, size_t most_characters) {
  if (!value.is_string()) refuse("prompt", "a text: what to show");
  const std::string& prompt = value.get_ref<const std::string&>();
  const bool printable =
      std::none_of(prompt.begin(), prompt.end(), [](unsigned char c) { return c < ' ' && c != '\n' && c != '\t'; });
  if (!printable) refuse("prompt", "a text without control characters");
  if (prompt.find_first_not_of(" \t\n") == prompt.npos) refuse("prompt", "a text that is not empty");
  const auto characters = std::count_if(prompt.begin(), prompt.end(), [](unsigned char c) { return c >> 6 != 2; });
  if (static_cast<size_t>(characters) > most_characters) {  // of UTF-8: all bytes but those that go on with a character
    refuse("prompt", "at most " + std::to_string(most_characters) + " characters");
  }
  return prompt;
}

std::vector<VideoPrompt> RequestPlanner::timeline(const RequestJson& list) const {
  const std::string wanted = "a list of {\"at\": seconds, \"prompt\": text}";
  if (!list.is_array()) refuse("timeline", wanted);
  if (list.size() > limits_.prompts) refuse("timeline", "at most " + std::to_string(limits_.prompts) + " prompts");
  std::vector<VideoPrompt> timeline;
  for (const RequestJson& entry : list) {
    if (!entry.is_object() || !entry.contains("at") || !entry.contains("prompt")) refuse("timeline", wanted);
    check_keys(entry, "the timeline", {"at", "prompt"});
    const double seconds = number("timeline.at", entry.at("at"), "seconds after the beginning");
    if (seconds <= 0) refuse("timeline.at", "seconds after the beginning, more than 0");
    timeline.push_back({.seconds = seconds, .text = checked_prompt(entry.at("prompt"), limits_.prompt_characters)});
  }
  return timeline;
}

int64_t RequestPlanner::frames(const RequestJson& seconds_or_null) const {
  const auto fps = static_cast<double>(defaults_.fps);
  const double most = std::max(limits_.seconds, static_cast<double>(defaults_.rendered_frames()) / fps);
  if (seconds_or_null.is_null()) return defaults_.rendered_frames();
  char text[64];
  std::snprintf(text, sizeof text, "a number of seconds, more than 0 and at most %g", most);
  const double seconds = number("seconds", seconds_or_null, text);
  if (seconds <= 0 || seconds > most) refuse("seconds", text);
  return std::max<int64_t>(1, std::llround(seconds * fps));
}

RenderConfig RequestPlanner::config(const Video& video) const {
  nlohmann::ordered_json settings = {{"prompt", video.prompt},
                                     {"size", std::to_string(video.width) + "x" + std::to_string(video.height)},
                                     {"fps", video.fps},
                                     {"frames", video.frames},
                                     {"seed", video.seed}};
  for (const VideoPrompt& change : video.timeline) {
    settings["timeline"].push_back({{"at", change.seconds}, {"prompt", change.text}});
  }
  std::vector<ConfigLayer> layers = layers_;
  layers.push_back(make_config_layer("request", settings));
  return resolve_config(layers, defaults_.model);
}

}  // namespace flashblock
