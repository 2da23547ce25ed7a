#include "server/request_planner.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>
#include <type_traits>
#include <utility>

#include "core/error.h"
#include "core/error_report.h"
#include "core/parse_number.h"
#include "core/plain_text.h"
#include "render/choices.h"
#include "render/expansion.h"
#include "render/render_setup.h"
#include "server/api_error.h"
#include "settings/settings_table.h"
#include "settings/text_settings.h"

namespace flashblock {
namespace {

using RequestJson = nlohmann::json;

/// Largest whole number that every JSON reader holds exactly. Source: RFC 8259, section 6.
constexpr uint64_t kLargestSeed = (uint64_t{1} << 53) - 1;

/// The number that a value is: a number or, as OpenAI's clients send it, its text.
template <class Number>
std::optional<Number> number_of(const RequestJson& value) {
  if (value.is_string()) return parse_number<Number>(value.get_ref<const std::string&>());
  if (std::is_integral_v<Number> ? value.is_number_unsigned() : value.is_number()) return value.get<Number>();
  return {};
}

double number(const std::string& key, const RequestJson& value, const std::string& wanted) {
  const auto result = number_of<double>(value);
  if (!result || !std::isfinite(*result)) refuse_value(key, wanted);
  return *result;
}

uint64_t seed_of(const RequestJson& value) {
  const auto result = number_of<uint64_t>(value);
  if (!result || *result > kLargestSeed) {
    refuse_value("seed", "a whole number from 0 to " + std::to_string(kLargestSeed));
  }
  return *result;
}

/// A flag or, as forms send it, its text.
bool flag(const std::string& key, const RequestJson& value) {
  if (value == true || value == "true") return true;
  if (value == false || value == "false") return false;
  refuse_value(key, "true or false");
}

std::pair<int64_t, int64_t> size(const RequestJson& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  const size_t x = std::min(text.find('x'), text.size());
  const auto width = parse_number<int64_t>(text.substr(0, x));
  const auto height = parse_number<int64_t>(text.substr(std::min(x + 1, text.size())));
  if (!width || !height || *width <= 0 || *height <= 0) refuse_value("size", "a size such as 832x480");
  return {*width, *height};
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

/// Whether a text names a configuration key, such as attention.refresh, which no request sets.
bool names_setting(const std::string& text) {
  return std::ranges::any_of(settings_table(), [&](const Setting& setting) {
    return setting.name.find('.') != std::string::npos && text.find(setting.name) != std::string::npos;
  });
}

/// What a client may know of an error in its video: nothing of the settings and files that only the operator of the
/// server controls.
ApiError public_error(const ConfigError& error) {
  const std::string otherwise = "the server's settings do not allow this video";
  const std::string field = field_of({.key = error.key()});
  if (field.empty() && !error.key().empty()) return ApiError({400, "invalid_value", otherwise});
  const std::string line = error_line(error.what(), error.remedies(), field_of);
  if (names_setting(line)) return ApiError({400, "invalid_value", otherwise, field});
  return ApiError({400, "invalid_value", client_text(line, otherwise), field});
}

}  // namespace

RequestPlanner::RequestPlanner(std::vector<ConfigLayer> layers, const ModelSizes& model, const VideoLimits& limits)
    : layers_(std::move(layers)),
      model_(model),
      limits_(limits),
      defaults_(resolve_config(layers_)),
      writer_(std::make_unique<TimelineWriter>(TimelineWriter::Keep::kAll)) {}

RequestPlanner::~RequestPlanner() = default;

nlohmann::ordered_json RequestPlanner::write_timeline(const RequestJson& document) const {
  RequestJson wanted = document;
  if (wanted.is_object()) {
    check_keys(wanted, "the request", {"prompt", "seconds", "size", "seed"});
    wanted["expand"] = true;
  }
  const Video video = plan(wanted);
  nlohmann::ordered_json timeline = nlohmann::ordered_json::array();
  for (const VideoPrompt& change : video.timeline)
    timeline.push_back({{"at", change.seconds}, {"prompt", change.text}});
  return {{"wish", video.wish},
          {"prompt", video.prompt},
          {"timeline", std::move(timeline)},
          {"seed", video.seed},
          {"seconds", static_cast<double>(video.frames) / static_cast<double>(video.fps)},
          {"warnings", video.warnings}};
}

Video RequestPlanner::plan(const RequestJson& document) const {
  if (!document.is_object()) throw ApiError({400, "invalid_json", "wanted a JSON object"});
  check_keys(document, "the request", {"prompt", "model", "seconds", "size", "seed", "timeline", "expand", "wish"});
  const auto given = [&](const char* key) { return document.contains(key) && !document.at(key).is_null(); };
  if (given("model") && document.at("model") != defaults_.model.name) {
    const std::string wanted = "'" + defaults_.model.name + "', the one that this server has";
    if (!document.at("model").is_string()) refuse_value("model", wanted);
    throw ApiError({404, "model_not_found", "model: wanted " + wanted, "model"});
  }
  Video video{.model = defaults_.model.name, .fps = defaults_.fps};
  video.prompt = checked_prompt(given("prompt") ? document.at("prompt") : RequestJson(), limits_.prompt_characters);
  if (given("timeline")) video.timeline = timeline(document.at("timeline"));
  if (given("wish")) video.wish = checked_prompt(document.at("wish"), limits_.prompt_characters, "wish");
  const bool expand = given("expand") ? flag("expand", document.at("expand"))
                                      : !defaults_.expand.empty() && !given("timeline") && !given("wish");
  if (expand && (given("timeline") || given("wish"))) {
    refuse_value("expand", "false where the request has a timeline or a wish: these are written from the prompt");
  }
  std::tie(video.width, video.height) =
      given("size") ? size(document.at("size")) : std::pair(defaults_.width, defaults_.height);
  if (video.width > limits_.pixels / video.height) {
    refuse_value("size", "at most " + std::to_string(limits_.pixels) + " pixels");
  }
  video.frames = frames(given("seconds") ? document.at("seconds") : RequestJson());
  video.seed = given("seed") ? seed_of(document.at("seed")) : resolve_config(layers_).seed.value();
  try {
    RenderConfig wanted = config(video);
    if (expand)
      wanted.expand = defaults_.expand.empty() ? find_language_model(kIncludedLanguageModel) : defaults_.expand;
    const RenderSetup setup = set_up_render(wanted, model_, *writer_);
    video.timeline = planned_timeline(setup);
    video.prompt = setup.config.prompt;
    video.wish = setup.config.wish;
    video.choices = setup.choices;
    video.warnings = setup.warnings;
    video.truncated_prompts = truncation_json(setup.truncated_prompts, /*metadata=*/true);
    return video;
  } catch (const ConfigError& error) {
    throw public_error(error);
  }
}

std::vector<std::string> RequestPlanner::warnings_of(const std::string& prompt,
                                                     const std::vector<std::string>& choices) const {
  std::vector<std::string> warnings;
  const std::vector<std::string> phrases = left_open(choices, prompt, defaults_.model.choices);
  for (const TruncatedPrompt& truncated : find_truncated_prompts(prompt, 0, phrases, model_))
    warnings.push_back(truncation_warning(truncated));
  for (std::string& warning : prompt_warnings(defaults_.model, prompt)) warnings.push_back(std::move(warning));
  return warnings;
}

std::vector<VideoPrompt> planned_timeline(const RenderSetup& setup) {
  std::vector<VideoPrompt> timeline;
  for (size_t i = 0; i < setup.change_blocks.size(); ++i) {
    const PromptChange& change = setup.config.timeline[i];
    timeline.push_back(
        {.seconds = change.seconds, .text = change.prompt, .block = setup.change_blocks[i], .shot = change.shot});
  }
  return timeline;
}

std::string checked_prompt(const RequestJson& value, size_t most_characters, const char* key) {
  if (!value.is_string()) refuse_value(key, "a text: what to show");
  const std::string& prompt = value.get_ref<const std::string&>();
  if (!text_fault(prompt).empty()) refuse_value(key, "a text without control characters");
  if (prompt.find_first_not_of(" \t\r\n") == prompt.npos) refuse_value(key, "a text that is not empty");
  const auto characters = std::count_if(prompt.begin(), prompt.end(), [](unsigned char c) { return c >> 6 != 2; });
  if (static_cast<size_t>(characters) > most_characters) {  // in UTF-8: all bytes but continuation bytes
    refuse_value(key, "at most " + std::to_string(most_characters) + " characters");
  }
  return prompt;
}

std::vector<VideoPrompt> RequestPlanner::timeline(const RequestJson& list) const {
  const std::string wanted = "a list of {\"at\": seconds, \"prompt\": text}, with \"shot\": true where a shot begins";
  if (!list.is_array()) refuse_value("timeline", wanted);
  if (list.size() > limits_.prompts)
    refuse_value("timeline", "at most " + std::to_string(limits_.prompts) + " prompts");
  std::vector<VideoPrompt> timeline;
  for (const RequestJson& entry : list) {
    if (!entry.is_object() || !entry.contains("at") || !entry.contains("prompt")) refuse_value("timeline", wanted);
    check_keys(entry, "the timeline", {"at", "prompt", "shot"});
    const double seconds = number("timeline.at", entry.at("at"), "seconds after the beginning");
    if (seconds <= 0 || seconds > static_cast<double>(kMostSeconds))
      refuse_value("timeline.at",
                   "seconds after the beginning, more than 0 and at most " + std::to_string(kMostSeconds));
    timeline.push_back({.seconds = seconds,
                        .text = checked_prompt(entry.at("prompt"), limits_.prompt_characters, "timeline.prompt"),
                        .shot = entry.contains("shot") && flag("timeline.shot", entry.at("shot"))});
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
  if (seconds <= 0 || seconds > most) refuse_value("seconds", text);
  return std::max<int64_t>(1, std::llround(seconds * fps));
}

RenderConfig RequestPlanner::config(const Video& video) const {
  nlohmann::ordered_json settings = {{"prompt", video.prompt},
                                     {"size", std::to_string(video.width) + "x" + std::to_string(video.height)},
                                     {"fps", video.fps},
                                     {"frames", video.frames},
                                     {"seed", video.seed}};
  for (const VideoPrompt& change : video.timeline) {
    settings["timeline"].push_back({{"at", change.seconds}, {"prompt", change.text}, {"shot", change.shot}});
  }
  if (!video.wish.empty()) settings["wish"] = video.wish;
  std::vector<ConfigLayer> layers = layers_;
  layers.push_back(make_config_layer("request", settings));
  RenderConfig config = resolve_config(layers, defaults_.model);
  config.expand.clear();  // the prompts are written when the video is planned
  return config;
}

}  // namespace flashblock
