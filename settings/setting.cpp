#include "settings/setting.h"

#include <charconv>
#include <sstream>
#include <tuple>

#include "attention/policies/published_gate.h"
#include "core/html_page.h"
#include "core/plain_text.h"
#include "language/language_config.h"
#include "media/stream_output.h"
#include "settings/gate_file.h"
#include "settings/model_file.h"
#include "settings/text_settings.h"

namespace flashblock::fields {
namespace {

namespace fs = std::filesystem;
using enum SettingKind;

std::string checked_prompt(const YamlValue& value, std::string prompt) {
  const auto last = prompt.find_last_not_of(" \t\r\n");
  prompt.erase(last == std::string::npos ? 0 : last + 1);
  if (prompt.empty()) value.fail("the prompt is empty: say what to show");
  return prompt;
}

std::vector<PromptChange> read_timeline(const YamlValue& value) {
  std::vector<PromptChange> timeline;
  if (value.is_null()) return timeline;
  for (const YamlValue& entry : value.list()) {
    YamlMap change(entry);
    PromptChange read{.seconds = change.require("at").positive_number_to(kMostSeconds)};
    if (const YamlValue* shot = change.find("shot")) read.shot = shot->boolean();
    const YamlValue* prompt = read.shot ? change.find("prompt") : &change.require("prompt");
    if (prompt) read.prompt = prompt->text();
    if (prompt && read.prompt.empty()) prompt->fail("the prompt is empty");
    if (prompt && read.shot && !read.prompt.starts_with(kShotPrefix)) read.prompt.insert(0, kShotPrefix);
    change.finish();
    timeline.push_back(std::move(read));
  }
  return timeline;
}

/// Falling timesteps above 0.
std::vector<double> read_steps(const YamlValue& value) {
  std::vector<double> steps;
  for (const YamlValue& entry : value.list()) {
    const double step = entry.number(0, 1000);
    if (step == 0) entry.fail("found 0, wanted a timestep above 0; a last step of 0 is left out");
    if (!steps.empty() && step >= steps.back()) {
      entry.fail("found \"" + entry.text() + "\", wanted less than the step before");
    }
    steps.push_back(step);
  }
  return steps;
}

}  // namespace

SettingValue setting_value(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return SettingValue::parse(std::string(text, end));
}

SettingValue setting_value(const std::vector<double>& values) {
  SettingValue list = SettingValue::array();
  for (const double value : values) list.push_back(setting_value(value));
  return list;
}

SettingValue setting_value(const std::vector<PromptChange>& timeline) {
  SettingValue list = SettingValue::array();
  for (const PromptChange& change : timeline) {
    SettingValue entry = {{"at", setting_value(change.seconds)}};
    if (!change.prompt.empty()) entry["prompt"] = change.prompt;
    if (change.shot) entry["shot"] = true;
    list.push_back(std::move(entry));
  }
  return list;
}

SettingValue setting_value(const std::shared_ptr<const RefreshGate>& gate) {
  return gate ? SettingValue(gate->name) : SettingValue();
}

std::string choice_words(const std::function<void(std::string_view)>& parse) {
  constexpr std::string_view kList = "possible are ";
  try {
    parse("");
  } catch (const ConfigError& error) {
    const std::string_view complaint = error.what();
    const size_t list = complaint.find(kList);
    if (list != complaint.npos) return std::string(complaint.substr(list + kList.size()));
  }
  return "a name";
}

SettingField prompt() {
  return make_field(kText, "text", field(&RenderConfig::prompt),
                    [](const YamlValue& value, const fs::path&) { return checked_prompt(value, value.text()); });
}

SettingField prompt_file() {
  SettingField result = prompt();
  result.kind = kInputFile;
  result.values = "a path";
  result.read = [](const YamlValue& value, const fs::path& folder, RenderConfig& config) {
    const fs::path path = fs::absolute(folder / value.text()).lexically_normal();
    const std::string text = parse_at(value, [&](const auto&) { return read_text_file(path, "a text file"); });
    config.prompt = checked_prompt(value, text);
    config.sources.push_back(path);
  };
  result.write = [](const RenderConfig&) { return SettingValue(); };
  return result;
}

SettingField timeline() {
  SettingField result = make_field(
      kText, "a list of `{at: SECONDS, prompt: TEXT}`, with `shot: true` where a shot begins",
      field(&RenderConfig::timeline), [](const YamlValue& value, const fs::path&) { return read_timeline(value); });
  // A timeline replaces a wish for one in an earlier layer, such as the defaults of a jobs file.
  result.read = [read = result.read](const YamlValue& value, const fs::path& folder, RenderConfig& config) {
    read(value, folder, config);
    if (!config.timeline.empty()) config.expand.clear();
  };
  return result;
}

SettingValue collect_changes(const std::vector<std::string>& changes) {
  SettingValue timeline = SettingValue::array();
  for (const std::string& text : changes) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw ConfigError("found '" + text + "', wanted SECONDS=TEXT, such as '20=the rain stops'");
    }
    timeline.push_back({{"at", text.substr(0, equals)}, {"prompt", text.substr(equals + 1)}});
  }
  return timeline;
}

std::vector<std::string> spread_changes(const SettingValue& timeline) {
  std::vector<std::string> changes;
  for (const SettingValue& change : timeline) {
    changes.push_back(json_line(change.at("at")) + "=" + change.value("prompt", std::string(kShotPrefix)));
  }
  return changes;
}

SettingField output() {
  SettingField result = file(field(&RenderConfig::output), kOutputFile);
  result.values = "a path, or `-` or `-.y4m` for standard output";
  result.read = [read_path = result.read](const YamlValue& value, const fs::path& folder, RenderConfig& config) {
    const bool standard = !value.is_null() && is_standard_output(value.text());
    config.standard_output = standard ? value.text() : "";
    if (standard) {
      config.output.clear();
    } else {
      read_path(value, folder, config);
    }
  };
  result.write = [](const RenderConfig& config) -> SettingValue {
    return config.standard_output.empty() ? config.output.string() : config.standard_output;
  };
  return result;
}

SettingField tee() {
  return make_field(kText, "a list of URLs (`rtmp://`, `srt://`, `udp://`, `rtsp://`) and paths",
                    field(&RenderConfig::output_options, &OutputOptions::tee),
                    [](const YamlValue& value, const fs::path& folder) {
                      std::vector<std::string> targets;
                      if (value.is_null()) return targets;
                      for (const YamlValue& entry : value.list()) {
                        const std::string target = entry.text();
                        const bool path = !is_url(target);
                        targets.push_back(path ? fs::absolute(folder / target).lexically_normal().string() : target);
                      }
                      return targets;
                    });
}

SettingValue collect_words(const std::vector<std::string>& words) { return words; }

std::vector<std::string> spread_words(const SettingValue& list) { return list.get<std::vector<std::string>>(); }

SettingField lora() {
  using Loras = std::vector<LoraFile>;
  const auto added = [](const RenderConfig& config) {
    Loras loras;
    for (const LoraFile& lora : config.model.lora)
      if (lora.of_video) loras.push_back(lora);
    return loras;
  };
  const auto write = [added](const RenderConfig& config, bool names) {
    SettingValue list = SettingValue::array();
    for (const LoraFile& lora : added(config)) {
      SettingValue entry = {{"file", names ? lora.path.filename().string() : lora.path.string()},
                            {"scale", setting_value(lora.scale)}};
      if (!lora.entry.empty()) entry["weights"] = lora.entry;
      list.push_back(std::move(entry));
    }
    return list;
  };
  const auto replace = [](RenderConfig& config, Loras loras) {
    Loras& all = config.model.lora;
    std::erase_if(all, [](const LoraFile& lora) { return lora.of_video; });
    for (LoraFile& lora : loras) {
      lora.of_video = true;
      all.push_back(std::move(lora));
    }
  };
  return {.kind = kText,
          .values = "`PATH`, `PATH=SCALE`, `{file, weights, scale}` with `scale` from -100 to 100, or a list of them",
          .read =
              [replace](const YamlValue& value, const fs::path& folder, RenderConfig& config) {
                const fs::path whole = fs::absolute(folder).lexically_normal();
                Loras loras;
                if (value.is_scalar() || value.is_map()) loras.push_back(read_lora(value, whole));
                if (loras.empty() && !value.is_null())
                  for (const YamlValue& entry : value.list()) loras.push_back(read_lora(entry, whole));
                replace(config, std::move(loras));
              },
          .write = [write](const RenderConfig& config) { return write(config, false); },
          .reset = [replace](RenderConfig& config) { replace(config, {}); },
          .public_name = [write](const RenderConfig& config) { return write(config, true); }};
}

std::vector<std::string> spread_loras(const SettingValue& list) {
  std::vector<std::string> words;
  for (const SettingValue& lora : list)
    words.push_back(lora.at("file").get<std::string>() + "=" + json_line(lora.at("scale")));
  return words;
}

SettingField expand() {
  SettingField result = file(field(&RenderConfig::expand), kInputFile);
  result.values = "true, false, or the folder of a language model";
  result.read = [](const YamlValue& value, const fs::path& folder, RenderConfig& config) {
    const std::string text = value.is_null() ? "" : value.text();
    config.expand.clear();
    if (text.empty() || text == "false") return;
    const fs::path named = folder / text;
    try {
      config.expand = text != "true" && fs::exists(named)
                          ? fs::absolute(named).lexically_normal()
                          : find_language_model(text == "true" ? kIncludedLanguageModel : text);
    } catch (const WeightsError& error) {  // whose advice is for the model that renders
      value.fail(error.what());
    }
    if (!is_language_model(config.expand)) {
      value.fail("found '" + text + "', wanted true, false or the folder of a language model: its config.json says " +
                 "\"model_type\": \"sdar\"");
    }
    config.timeline.clear();  // that of an earlier layer
  };
  return result;
}

SettingField choices() {
  return make_field(kText, "a list of phrases", field(&RenderConfig::choices), [](const YamlValue& value, const auto&) {
    std::vector<std::string> phrases;
    for (const YamlValue& phrase : value.list()) phrases.push_back(phrase.text());
    return phrases;
  });
}

SettingField seconds() {
  SettingField result = positive_number(field(&RenderConfig::seconds));
  result.values = "a number above 0, to " + std::to_string(kMostSeconds);
  result.read = [](const YamlValue& value, const fs::path&, RenderConfig& config) {
    config.seconds = value.positive_number_to(kMostSeconds);
    config.frames.reset();
  };
  return result;
}

SettingField size() {
  return {.kind = kPlain,
          .values = "`WIDTHxHEIGHT` in pixels, multiples of 16, or of 32 where a latent has 16 pixels",
          .read = [](const YamlValue& value, const fs::path&,
                     RenderConfig& config) { std::tie(config.width, config.height) = value.frame_size(); },
          .write = [](const RenderConfig& config) -> SettingValue {
            return std::to_string(config.width) + "x" + std::to_string(config.height);
          },
          .reset =
              [](RenderConfig& config) {
                const VideoDefaults defaults;
                std::tie(config.width, config.height) = std::pair(defaults.width, defaults.height);
              },
          .public_name = {}};
}

SettingField model() {
  SettingField result = file(field(&RenderConfig::model, &ModelDescription::file), kInputFile);
  result.values = "a model file, a folder with a `model.yaml`, or the name of an installed model";
  result.read = [](const YamlValue& value, const fs::path&, RenderConfig&) { value.text(); };
  result.public_name = [](const RenderConfig& config) { return config.model.name; };
  return result;
}

SettingField gate() {
  return make_field(kInputFile, "a file that `analyze redundancy --gate` wrote for this model and number of steps",
                    field(&RenderConfig::attention, &AttentionConfig::gate),
                    [](const YamlValue& value, const fs::path& folder) {
                      return parse_at(value, [&](const std::string& file) {
                        return std::make_shared<RefreshGate>(read_gate_file(fs::absolute(folder / file)));
                      });
                    });
}

SettingField window_frames() {
  return make_field(kPlain, "-1, or `sink_frames` + `frames_per_block` or more",
                    field(&RenderConfig::model, &ModelDescription::recipe, &Recipe::window_frames),
                    [](const YamlValue& value, const auto&) {
                      const int64_t frames = value.integer(-1, kMostFrames);
                      if (frames == 0) value.fail("found \"0\", wanted -1 for all frames, or 1 or more");
                      return frames;
                    });
}

SettingField steps() {
  return make_field(kPlain, "a falling list, each above 0, to 1000",
                    field(&RenderConfig::model, &ModelDescription::recipe, &Recipe::steps),
                    [](const YamlValue& value, const auto&) {
                      const std::vector<double> steps = read_steps(value);
                      if (steps.empty()) value.fail("found an empty list, wanted at least one timestep");
                      return steps;
                    });
}

SettingField first_steps() {
  return make_field(kPlain, "as `steps`, or an empty list",
                    field(&RenderConfig::model, &ModelDescription::recipe, &Recipe::first_steps),
                    [](const YamlValue& value, const auto&) { return read_steps(value); });
}

}  // namespace flashblock::fields
