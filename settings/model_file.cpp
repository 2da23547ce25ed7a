#include "settings/model_file.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <sstream>

#include "core/error.h"
#include "core/file_kind.h"
#include "core/parse_number.h"
#include "core/plain_text.h"
#include "pipeline/context_rule.h"
#include "settings/config_file.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

void add_from_environment(std::vector<fs::path>& folders) {
  const char* variable = std::getenv("FLASHBLOCK_MODELS");
  std::istringstream list(variable ? variable : "");
  for (std::string folder; std::getline(list, folder, ':');) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
}

// Where scripts/download-models puts models. Source: XDG Base Directory Specification, $XDG_DATA_HOME.
void add_users_folder(std::vector<fs::path>& folders) {
  const char* const data = std::getenv("XDG_DATA_HOME");
  const char* const home = std::getenv("HOME");
  const fs::path root = data && *data ? fs::path(data) : home ? fs::path(home) / ".local/share" : fs::path();
  if (!root.empty() && fs::is_directory(root / "flashblock/models")) folders.push_back(root / "flashblock/models");
}

bool is_model(const fs::path& path) {
  return fs::is_regular_file(path) || (fs::is_directory(path) && fs::exists(path / "model.yaml"));
}

/// `text` with every `${NAME}` replaced by the environment's value.
std::string expand_variables(const YamlValue& value) {
  std::string text = value.text();
  for (size_t begin = 0; (begin = text.find("${", begin)) != std::string::npos;) {
    const size_t end = text.find('}', begin);
    if (end == std::string::npos) value.fail("found \"${\" without \"}\" in " + text);
    const std::string name = text.substr(begin + 2, end - begin - 2);
    const char* const found = std::getenv(name.c_str());
    if (!found) value.fail("the environment variable " + name + " is not set");
    if (const std::string fault = text_fault(found); !fault.empty())
      value.fail("the environment variable " + name + " " + fault);
    text.replace(begin, end + 1 - begin, found);
    begin += std::string(found).size();
  }
  return text;
}

/// A path in a model file; relative ones begin at the folder that holds it.
fs::path read_path(const YamlValue& value, const fs::path& folder) {
  const std::string text = expand_variables(value);
  if (text.empty()) value.fail("found nothing, wanted a path");
  return (folder / text).lexically_normal();
}

/// `file`, or a mapping with `file`, `weights` and the keys that `read_further` reads.
WeightsFile read_weights(const YamlValue& value, const fs::path& folder,
                         const std::function<void(YamlMap&)>& read_further = {}) {
  if (!value.is_map()) return {.path = read_path(value, folder)};
  YamlMap map(value);
  WeightsFile weights{.path = read_path(map.require("file"), folder)};
  if (const YamlValue* entry = map.find("weights")) weights.entry = entry->text();
  if (read_further) read_further(map);
  map.finish();
  return weights;
}

void read_transformer(const YamlValue& value, const fs::path& folder, ModelDescription& model) {
  model.transformer = read_weights(value, folder, [&](YamlMap& map) {
    if (const YamlValue* config = map.find("config")) model.transformer_config = read_path(*config, folder);
  });
}

constexpr double kLargestScale = 100;

/// FILE or FILE=SCALE. A file whose name has an equals sign is found under that name.
LoraFile read_scaled_file(const YamlValue& value, const fs::path& folder) {
  LoraFile lora{.path = read_path(value, folder)};
  const std::string text = lora.path.string();
  const size_t equals = text.rfind('=');
  std::error_code unreadable;
  if (equals == text.npos || fs::exists(lora.path, unreadable)) return lora;
  const std::string scale = text.substr(equals + 1);
  const auto number = parse_number<double>(scale);
  if (!number || !(std::abs(*number) <= kLargestScale))
    value.fail("found the scale \"" + scale + "\", wanted " + number_words(-kLargestScale, kLargestScale));
  lora.path = text.substr(0, equals);
  lora.scale = *number;
  return lora;
}

/// The folder of a pipeline as diffusers lays it out. Parts that are named in the model file replace those in it.
void read_diffusers_folder(const YamlValue& value, const fs::path& folder, ModelDescription& model) {
  const fs::path root = read_path(value, folder);
  model.transformer.path = root / "transformer";
  model.text_encoder.path = root / "text_encoder";
  model.tokenizer = root / "tokenizer";
  model.vae.path = root / "vae";
}

/// Checks the form of `sources`, which scripts/download-models reads.
void check_sources(const YamlValue& value) {
  for (const YamlValue& entry : value.list()) {
    YamlMap source(entry);
    source.require("repository").text();
    for (const char* key : {"revision", "folder"})
      if (const YamlValue* text = source.find(key)) text->text();
    for (const YamlValue& file : source.require("files").list()) file.text();
    source.finish();
  }
}

void read_parts(YamlMap& map, const fs::path& folder, ModelDescription& model) {
  const YamlValue* diffusers = map.find("diffusers");
  if (diffusers) read_diffusers_folder(*diffusers, folder, model);
  if (const YamlValue* value = diffusers ? map.find("transformer") : &map.require("transformer"))
    read_transformer(*value, folder, model);
  if (const auto* value = map.find("text_encoder")) model.text_encoder = read_weights(*value, folder);
  if (const auto* value = map.find("tokenizer")) model.tokenizer = read_path(*value, folder);
  if (const auto* value = map.find("vae")) model.vae = read_weights(*value, folder);
  if (const auto* value = map.find("lora"))
    for (const YamlValue& entry : value->list()) model.lora.push_back(read_lora(entry, folder));
  // Of a tokenizer's folder, only this file is read.
  std::error_code unknown;
  if (fs::is_directory(model.tokenizer, unknown)) model.tokenizer /= "spiece.model";
}

/// A list of words, or a file of words with white space between them, in lower case.
std::set<std::string> read_words(const YamlValue& value, const fs::path& folder) {
  std::set<std::string> words;
  const auto add = [&](std::string word) {
    std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
    words.insert(std::move(word));
  };
  if (value.is_list()) {
    for (const YamlValue& word : value.list()) add(word.text());
    return words;
  }
  const fs::path file = read_path(value, folder);
  std::istringstream text;
  try {
    text.str(read_text_file(file, "a file of words"));
  } catch (const ConfigError& error) {
    value.fail(error.what());
  }
  for (std::string word; text >> word;) add(word);
  if (words.empty()) value.fail("no words can be read from " + file.string());
  return words;
}

std::vector<Choice> read_choices(const YamlValue& value, const fs::path& folder) {
  std::vector<Choice> choices;
  for (const YamlValue& entry : value.list()) {
    YamlMap map(entry);
    Choice choice;
    const YamlValue& phrases = map.require("phrases");
    for (const YamlValue& phrase : phrases.list()) {
      choice.phrases.push_back(phrase.text());
      if (choice.phrases.back().empty()) phrase.fail("found nothing, wanted a phrase");
    }
    if (choice.phrases.empty()) phrases.fail("found an empty list, wanted at least one phrase");
    if (const YamlValue* unless = map.find("unless")) choice.unless = read_words(*unless, folder);
    if (const YamlValue* when = map.find("when")) choice.when = read_words(*when, folder);
    map.finish();
    choices.push_back(std::move(choice));
  }
  return choices;
}

/// Throws: ConfigError unless all steps are whole numbers.
void check_whole(const std::vector<double>& steps, const std::string& where) {
  for (const double step : steps) {
    if (step == std::floor(step)) continue;
    std::ostringstream message;
    message << where << ": found " << step << ", wanted whole numbers, for warp_steps is true";
    throw ConfigError(message.str(), {.remedies = {{"give timesteps as they are", "recipe.warp_steps", "false"}}});
  }
}

/// Throws: ConfigError for a recipe of shots that the published models do not have.
void check_shots(const Recipe& recipe, const std::string& where) {
  if (recipe.shot_offset_frames == 0) return;
  const std::string key = where + ".shot_offset_frames: a model with shots ";
  const int64_t block = recipe.frames_per_block, window = recipe.window_frames;
  if (recipe.sink_frames != block || (window != -1 && (window % block != 0 || window < 4 * block)))
    throw ConfigError(key + "needs sink_frames " + std::to_string(block) +
                      ", as many as frames_per_block, and a window of whole blocks, at least " +
                      std::to_string(4 * block) + ", or -1");
  if (recipe.kv_recache) throw ConfigError(key + "does not recompute its context: wanted kv_recache false");
  if (recipe.independent_first_frame) throw ConfigError(key + "has no independent_first_frame");
}

/// What is wrong with a file that is needed; empty if it exists.
std::string fault_of(const char* part, const fs::path& path) {
  if (path.empty()) return std::string(part) + " is not named in the model file";
  std::error_code error;
  if (fs::exists(path, error)) return {};
  const std::string missing = std::string(part) + " " + path.string() + " does not exist";
  if (path.filename() == "spiece.model" && fs::exists(path.parent_path() / "tokenizer.json", error))
    return missing + " (tokenizer.json, which does, is not supported; spiece.model is part of google/umt5-xxl)";
  return missing;
}

/// Those that are not named in the model file.
void check_added_loras(const ModelDescription& model) {
  for (const LoraFile& lora : model.lora) {
    std::error_code unreadable;
    if (!lora.of_video || fs::exists(lora.path, unreadable)) continue;
    throw WeightsError("lora " + lora.path.string() + " does not exist", {.key = "lora"});
  }
}

/// What is wrong with a path at which there is no model file.
std::string no_model_file(const fs::path& path) {
  std::error_code unreadable;
  if (!fs::is_directory(path, unreadable))
    return "model " + path.string() + ": no such file; wanted a model file (YAML), or a folder with model.yaml";
  const std::string front = "model " + path.string() + " is a folder without model.yaml";
  if (fs::exists(path / "model_index.json", unreadable))
    return front + ", of diffusers: wanted a model file (YAML) with `diffusers: " + path.string() + "`";
  return front + "; wanted a model file (YAML) that names the weights; flashblock info " + path.string() +
         " says what the folder holds";
}

}  // namespace

std::vector<fs::path> model_folders() {
  std::vector<fs::path> folders;
  add_from_environment(folders);
  add_users_folder(folders);
  std::error_code fault;
  const fs::path program = fs::read_symlink("/proc/self/exe", fault);
  if (fault) return folders;
  // The program is PREFIX/bin/flashblock when installed, ROOT/bin/flashblock in a bundle, and
  // SOURCE/build/PRESET/app/flashblock when built. The files in configs/models come without weights: they state where
  // to download them, or why a model cannot be rendered.
  fs::path folder = program.parent_path();
  for (int levels = 0; levels < 4 && folder.has_relative_path(); ++levels, folder = folder.parent_path()) {
    for (const char* models : {"share/flashblock/models", "assets", "configs/models"}) {
      if (fs::is_directory(folder / models)) folders.push_back(folder / models);
    }
  }
  return folders;
}

std::optional<fs::path> find_in_model_folders(const std::string& name,
                                              const std::function<bool(const fs::path&)>& wanted) {
  for (const fs::path& folder : model_folders())
    if (wanted(folder / name)) return folder / name;
  return std::nullopt;
}

fs::path find_model(const std::string& name) {
  if (fs::exists(name)) return fs::absolute(name);
  std::string searched;
  for (const fs::path& folder : model_folders()) {
    for (const fs::path& candidate : {folder / name, folder / (name + ".yaml")}) {
      if (is_model(candidate)) return candidate;
    }
    searched += (searched.empty() ? "" : ", ") + folder.string();
  }
  if (searched.empty()) searched = "a model folder (set FLASHBLOCK_MODELS to one)";
  throw WeightsError(
      "there is no model '" + name + "': neither a file or folder here, nor a model of that name in " + searched,
      {.key = "model", .remedies = {{"give a model file, or a folder with a model.yaml,", "model", ""}}});
}

LoraFile read_lora(const YamlValue& value, const fs::path& folder) {
  if (!value.is_map()) return read_scaled_file(value, folder);
  LoraFile lora;
  const WeightsFile weights = read_weights(value, folder, [&](YamlMap& map) {
    if (const YamlValue* scale = map.find("scale")) lora.scale = scale->number(-kLargestScale, kLargestScale);
  });
  lora.path = weights.path;
  lora.entry = weights.entry;
  return lora;
}

void check_recipe(const Recipe& recipe, const std::string& where) {
  const int64_t least = recipe.sink_frames + recipe.frames_per_block;
  if (recipe.window_frames != -1 && recipe.window_frames < least)
    throw ConfigError(where + ".window_frames: found " + std::to_string(recipe.window_frames) +
                      ", wanted -1 or at least " + std::to_string(least) + ": the " +
                      std::to_string(recipe.sink_frames) + " sink_frames and the " +
                      std::to_string(recipe.frames_per_block) + " frames_per_block must fit in");
  recipe.context_rule->check(recipe, where);
  check_shots(recipe, where);
  if (!recipe.warp_steps) return;
  check_whole(recipe.steps, where + ".steps");
  check_whole(recipe.first_steps, where + ".first_steps");
}

ModelDescription load_model_file(const fs::path& file_or_folder) {
  const fs::path file = fs::is_directory(file_or_folder) ? file_or_folder / "model.yaml" : file_or_folder;
  if (!fs::is_regular_file(file)) throw WeightsError(no_model_file(file_or_folder), {.key = "model"});
  if (const KnownFile found = known_file(file); found.kind != FileKind::kUnknown) {
    const bool weights = found.kind == FileKind::kWeights;
    throw ConfigError(file.string() + " is " + found.words + "; wanted a model file (YAML)" +
                          (weights ? ", which names it with `transformer: " + file.filename().string() +
                                         "` beside text_encoder, tokenizer and vae; flashblock info " + file.string() +
                                         " says what it is"
                                   : ""),
                      {.key = "model"});
  }
  const YamlValue document = load_yaml(file);
  YamlMap map(document);
  RenderConfig video;  // as this model renders it by default
  ModelDescription& model = video.model;
  model.file = fs::absolute(file).lexically_normal();
  const fs::path folder = model.file.parent_path();

  model.name = (file.filename() == "model.yaml" ? folder.filename() : file.stem()).string();
  if (const auto* value = map.find("name")) model.name = value->text();
  if (const auto* value = map.find("architecture"); value && value->text() != model.architecture)
    value->fail("found \"" + value->text() + "\", wanted " + model.architecture + ", the only one that is supported");
  if (const auto* value = map.find("unsupported")) value->fail("this model cannot be rendered: " + value->text());
  read_parts(map, folder, model);
  if (const auto* value = map.find("about")) model.about = value->text();
  if (const auto* value = map.find("knows")) model.knows = read_words(*value, folder);
  if (const auto* value = map.find("choices")) model.choices = read_choices(*value, folder);
  if (const auto* value = map.find("sources")) {
    check_sources(*value);
    model.has_sources = true;
  }
  if (const auto* value = map.find("recipe")) read_group("recipe", *value, video);
  if (const auto* value = map.find("defaults")) read_model_defaults(*value, video);
  map.finish();
  check_recipe(model.recipe, file.string() + ": recipe");
  model.defaults = video;
  return model;
}

void check_model_files(const ModelDescription& model, const std::vector<ModelPart>& needed) {
  std::vector<std::string> faults;
  const auto check = [&](ModelPart part, const char* name, const fs::path& path) {
    if (std::find(needed.begin(), needed.end(), part) == needed.end()) return;
    if (std::string fault = fault_of(name, path); !fault.empty()) faults.push_back(std::move(fault));
  };
  check(ModelPart::kTransformer, "transformer", model.transformer.path);
  if (!model.transformer_config.empty()) check(ModelPart::kTransformer, "transformer config", model.transformer_config);
  for (const LoraFile& lora : model.lora) {
    if (!lora.of_video) check(ModelPart::kTransformer, "lora", lora.path);
  }
  check(ModelPart::kTextEncoder, "text_encoder", model.text_encoder.path);
  check(ModelPart::kTokenizer, "tokenizer", model.tokenizer);
  check(ModelPart::kVae, "vae", model.vae.path);
  if (faults.empty()) return check_added_loras(model);
  std::string message = model.file.string() + ": ";
  for (size_t i = 0; i < faults.size(); ++i) message += (i == 0 ? "" : "; ") + faults[i];
  throw WeightsError(message +
                     (model.has_sources ? ". Its `sources` say where they are published, and scripts/download-models " +
                                              model.name + ", of the source tree, fetches them; put"
                                        : std::string(". Put")) +
                     " the files there, or correct the paths in the model file");
}

}  // namespace flashblock
