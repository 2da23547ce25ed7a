#include "settings/model_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <sstream>
#include <tuple>

#include "core/error.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

constexpr double kLargestTimestep = 1000;

/// `text` with every `${NAME}` replaced by the environment's value.
std::string expand_variables(const YamlValue& value) {
  std::string text = value.text();
  for (size_t begin = 0; (begin = text.find("${", begin)) != std::string::npos;) {
    const size_t end = text.find('}', begin);
    if (end == std::string::npos) value.fail("found \"${\" without \"}\" in " + text);
    const std::string name = text.substr(begin + 2, end - begin - 2);
    const char* const found = std::getenv(name.c_str());
    if (!found) value.fail("the environment variable " + name + " is not set");
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

/// `file`, `{file: ...}` or `{file: ..., weights: ...}`; `map` may hold further keys and is finished by the caller.
WeightsFile read_weights(YamlMap& map, const fs::path& folder) {
  WeightsFile weights{.path = read_path(map.require("file"), folder)};
  if (const YamlValue* entry = map.find("weights")) weights.entry = entry->text();
  return weights;
}

WeightsFile read_component(const YamlValue& value, const fs::path& folder) {
  if (!value.is_map()) return {.path = read_path(value, folder)};
  YamlMap map(value);
  WeightsFile weights = read_weights(map, folder);
  map.finish();
  return weights;
}

void read_transformer(const YamlValue& value, const fs::path& folder, ModelDescription& model) {
  if (!value.is_map()) {
    model.transformer.path = read_path(value, folder);
    return;
  }
  YamlMap map(value);
  model.transformer = read_weights(map, folder);
  if (const YamlValue* config = map.find("config")) model.transformer_config = read_path(*config, folder);
  map.finish();
}

LoraFile read_lora(const YamlValue& value, const fs::path& folder) {
  if (!value.is_map()) return {.path = read_path(value, folder)};
  YamlMap map(value);
  const WeightsFile weights = read_weights(map, folder);
  LoraFile lora{.path = weights.path, .entry = weights.entry};
  if (const YamlValue* scale = map.find("scale")) lora.scale = scale->number(-100, 100);
  map.finish();
  return lora;
}

/// The folder of a whole pipeline as diffusers lays it out; its parts can be named apart and then win.
void read_diffusers_folder(const YamlValue& value, const fs::path& folder, ModelDescription& model) {
  const fs::path root = read_path(value, folder);
  model.transformer.path = root / "transformer";
  model.text_encoder.path = root / "text_encoder";
  model.tokenizer = root / "tokenizer";
  model.vae.path = root / "vae";
}

/// Where the files can be had: what scripts/download-models reads. Here only the form is looked at.
bool read_sources(const YamlValue& value) {
  for (const YamlValue& entry : value.list()) {
    YamlMap source(entry);
    source.require("repository").text();
    for (const char* key : {"revision", "folder"})
      if (const YamlValue* text = source.find(key)) text->text();
    for (const YamlValue& file : source.require("files").list()) file.text();
    source.finish();
  }
  return true;
}

void read_parts(YamlMap& map, const fs::path& folder, ModelDescription& model) {
  const YamlValue* diffusers = map.find("diffusers");
  if (diffusers) read_diffusers_folder(*diffusers, folder, model);
  if (const YamlValue* value = diffusers ? map.find("transformer") : &map.require("transformer"))
    read_transformer(*value, folder, model);
  if (const auto* value = map.find("text_encoder")) model.text_encoder = read_component(*value, folder);
  if (const auto* value = map.find("tokenizer")) model.tokenizer = read_path(*value, folder);
  if (const auto* value = map.find("vae")) model.vae = read_component(*value, folder);
  if (const auto* value = map.find("lora"))
    for (const YamlValue& entry : value->list()) model.lora.push_back(read_lora(entry, folder));
  // A tokenizer's folder stands for the one file of it that is read.
  std::error_code unknown;
  if (fs::is_directory(model.tokenizer, unknown)) model.tokenizer /= "spiece.model";
}

/// Falling timesteps above 0.
std::vector<double> read_steps(const YamlValue& value) {
  std::vector<double> steps;
  for (const YamlValue& entry : value.list()) {
    const double step = entry.number(0, kLargestTimestep);
    if (step == 0) entry.fail("found 0, wanted a timestep above 0; a last step of 0 is left out");
    if (!steps.empty() && step >= steps.back())
      entry.fail("found \"" + entry.text() + "\", wanted less than the step before");
    steps.push_back(step);
  }
  return steps;
}

void check_whole(const std::vector<double>& steps, const std::string& where) {
  for (const double step : steps)
    if (step != std::floor(step)) {
      std::ostringstream message;
      message << where << ": found " << step
              << ", wanted whole numbers, for warp_steps is true; set warp_steps: false to "
              << "give timesteps as they are";
      throw ConfigError(message.str());
    }
}

/// What is wrong with one needed file; empty if it is there.
std::string fault_of(const char* part, const fs::path& path) {
  if (path.empty()) return std::string(part) + " is not named in the model file";
  std::error_code error;
  if (fs::exists(path, error)) return {};
  const std::string missing = std::string(part) + " " + path.string() + " does not exist";
  if (path.filename() == "spiece.model" && fs::exists(path.parent_path() / "tokenizer.json", error))
    return missing + " (the tokenizer.json beside it is not read; spiece.model is part of google/umt5-xxl)";
  return missing;
}

}  // namespace

void read_recipe(YamlMap map, Recipe& recipe) {
  if (const auto* value = map.find("frames_per_block")) recipe.frames_per_block = value->integer(1, 1000);
  if (const auto* value = map.find("independent_first_frame")) recipe.independent_first_frame = value->boolean();
  if (const auto* value = map.find("window_frames")) {
    recipe.window_frames = value->integer(-1);
    if (recipe.window_frames == 0) value->fail("found \"0\", wanted -1 for all frames, or 1 or more");
  }
  if (const auto* value = map.find("sink_frames")) recipe.sink_frames = value->integer(0);
  if (const auto* value = map.find("position_frames")) recipe.position_frames = value->integer(1);
  if (const auto* value = map.find("timestep_shift")) recipe.timestep_shift = value->positive_number();
  if (const auto* value = map.find("steps")) {
    recipe.steps = read_steps(*value);
    if (recipe.steps.empty()) value->fail("found an empty list, wanted at least one timestep");
  }
  if (const auto* value = map.find("first_steps")) recipe.first_steps = read_steps(*value);
  if (const auto* value = map.find("warp_steps")) recipe.warp_steps = value->boolean();
  if (const auto* value = map.find("context_noise")) recipe.context_noise = value->number(0, kLargestTimestep);
  if (const auto* value = map.find("kv_recache")) recipe.kv_recache = value->boolean();
  if (const auto* value = map.find("guidance_scale")) recipe.guidance_scale = value->number(0, 100);
  if (const auto* value = map.find("negative_prompt")) recipe.negative_prompt = value->is_null() ? "" : value->text();
  if (const auto* value = map.find("unipc_steps")) recipe.unipc_steps = value->integer(0, 1000);
  map.finish();
}

void read_whole_video_defaults(YamlMap map, VideoDefaults& defaults) {
  if (const auto* value = map.find("size")) std::tie(defaults.width, defaults.height) = read_size(*value);
  if (const auto* value = map.find("fps")) defaults.fps = value->integer(1, 240);
  if (const auto* value = map.find("seconds")) defaults.seconds = value->positive_number();
  map.finish();
}

void check_recipe(const Recipe& recipe, const std::string& where) {
  const int64_t least = recipe.sink_frames + recipe.frames_per_block;
  if (recipe.window_frames != -1 && recipe.window_frames < least)
    throw ConfigError(where + ".window_frames: found " + std::to_string(recipe.window_frames) +
                      ", wanted -1 or at least " + std::to_string(least) + ": the " +
                      std::to_string(recipe.sink_frames) + " sink_frames and the " +
                      std::to_string(recipe.frames_per_block) + " frames_per_block must fit in");
  if (!recipe.warp_steps) return;
  check_whole(recipe.steps, where + ".steps");
  check_whole(recipe.first_steps, where + ".first_steps");
}

std::pair<int64_t, int64_t> read_size(const YamlValue& value) {
  constexpr int64_t kLargestSide = 16384;
  const std::string text = value.text();
  int64_t width = 0, height = 0;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, width);
  const bool separated = first.ptr != end && (*first.ptr == 'x' || *first.ptr == 'X');
  const auto second = separated ? std::from_chars(first.ptr + 1, end, height) : first;
  if (!separated || second.ptr != end || width < 1 || height < 1 || width > kLargestSide || height > kLargestSide)
    value.fail("found \"" + text + "\", wanted WIDTHxHEIGHT in pixels, such as 832x480");
  return {width, height};
}

ModelDescription load_model_file(const fs::path& file_or_folder) {
  const fs::path file = fs::is_directory(file_or_folder) ? file_or_folder / "model.yaml" : file_or_folder;
  if (!fs::is_regular_file(file))
    throw WeightsError("model " + file.string() +
                       ": no such file; wanted a model file (YAML), or a folder with model.yaml");
  const YamlValue document = load_yaml(file);
  YamlMap map(document);
  ModelDescription model{.file = fs::absolute(file).lexically_normal()};
  const fs::path folder = model.file.parent_path();

  model.name = (file.filename() == "model.yaml" ? folder.filename() : file.stem()).string();
  if (const auto* value = map.find("name")) model.name = value->text();
  if (const auto* value = map.find("architecture"); value && value->text() != model.architecture)
    value->fail("found \"" + value->text() + "\", wanted " + model.architecture + ", the only one there is");
  if (const auto* value = map.find("unsupported")) value->fail("this model cannot be rendered: " + value->text());
  read_parts(map, folder, model);
  if (const auto* value = map.find("sources")) model.has_sources = read_sources(*value);
  if (const auto* value = map.find("recipe")) read_recipe(YamlMap(*value), model.recipe);
  if (const auto* value = map.find("defaults")) read_whole_video_defaults(YamlMap(*value), model.defaults);
  map.finish();
  check_recipe(model.recipe, file.string() + ": recipe");
  return model;
}

void check_model_files(const ModelDescription& model, const std::vector<ModelPart>& needed) {
  std::vector<std::string> faults;
  const auto check = [&](const char* part, const fs::path& path) {
    if (std::string fault = fault_of(part, path); !fault.empty()) faults.push_back(std::move(fault));
  };
  for (const ModelPart part : needed) {
    switch (part) {
      case ModelPart::kTransformer:
        check("transformer", model.transformer.path);
        if (!model.transformer_config.empty()) check("transformer config", model.transformer_config);
        for (const LoraFile& lora : model.lora) check("lora", lora.path);
        break;
      case ModelPart::kTextEncoder:
        check("text_encoder", model.text_encoder.path);
        break;
      case ModelPart::kTokenizer:
        check("tokenizer", model.tokenizer);
        break;
      case ModelPart::kVae:
        check("vae", model.vae.path);
        break;
    }
  }
  if (faults.empty()) return;
  std::string message = model.file.string() + ": ";
  for (size_t i = 0; i < faults.size(); ++i) message += (i == 0 ? "" : "; ") + faults[i];
  throw WeightsError(
      message +
      (model.has_sources ? ". Fetch them with scripts/download-models " + model.name + ", put" : std::string(". Put")) +
      " the files there, or correct the paths in the model file");
}

}  // namespace flashblock
