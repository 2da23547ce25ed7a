#include "settings/config_identity.h"

#include "core/html_page.h"
#include "core/sha256.h"
#include "settings/settings_table.h"

namespace flashblock {
namespace {

SettingValue weights_json(const WeightsFile& file) { return {file.path.string(), file.entry}; }

std::vector<std::pair<std::string, std::filesystem::path>> files_if(const RenderConfig& config,
                                                                    const std::function<bool(const Setting&)>& wanted) {
  std::vector<std::pair<std::string, std::filesystem::path>> files;
  for (const Setting& setting : settings_table()) {
    if (!wanted(setting)) continue;
    const SettingValue value = setting.field.write(config);
    if (is_written(setting, value, config)) files.emplace_back(setting.name, value.get<std::string>());
  }
  return files;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> identity_facts(const RenderConfig& config) {
  std::vector<std::pair<std::string, std::string>> facts;
  for (const Setting& setting : settings_table()) {
    if (setting.traits.identity != IdentityRole::kValue) continue;
    const SettingValue value = setting.field.write(config);
    if (is_empty(value) || !is_written(setting, value, config)) continue;
    const std::string text = value.is_string() ? value.get<std::string>() : json_line(value);
    const bool withheld = setting.traits.secret && !config.metadata;
    facts.emplace_back(setting.name, withheld ? "sha256:" + sha256(text) : text);
  }
  return facts;
}

std::vector<std::pair<std::string, std::filesystem::path>> identity_files(const RenderConfig& config) {
  return files_if(config, [](const Setting& setting) { return setting.traits.identity == IdentityRole::kChecksum; });
}

std::string model_key(const RenderConfig& config) {
  const ModelDescription& model = config.model;
  SettingValue key = {weights_json(model.transformer), model.transformer_config.string(),
                      weights_json(model.text_encoder), model.tokenizer.string(), weights_json(model.vae)};
  for (const LoraFile& lora : model.lora) key.push_back({lora.path.string(), lora.entry, lora.scale});
  for (const Setting& setting : settings_table()) {
    if (setting.traits.belongs_to_model) key.push_back({setting.name, setting.field.write(config)});
  }
  return json_line(key);
}

std::vector<std::pair<std::string, std::filesystem::path>> input_files(const RenderConfig& config) {
  auto files = files_if(config, [](const Setting& setting) { return setting.field.kind == SettingKind::kInputFile; });
  for (const std::filesystem::path& file : config.sources) files.emplace_back("settings", file);
  const ModelDescription& model = config.model;
  files.emplace_back("transformer", model.transformer.path);
  files.emplace_back("transformer config", model.transformer_config);
  files.emplace_back("text_encoder", model.text_encoder.path);
  files.emplace_back("tokenizer", model.tokenizer);
  files.emplace_back("vae", model.vae.path);
  for (const LoraFile& lora : model.lora) files.emplace_back("lora", lora.path);
  std::erase_if(files, [](const auto& file) { return file.second.empty(); });
  return files;
}

std::vector<std::filesystem::path> output_files(const RenderConfig& config) {
  std::vector<std::filesystem::path> files;
  for (const auto& [key, file] :
       files_if(config, [](const Setting& setting) { return setting.field.kind == SettingKind::kOutputFile; })) {
    files.push_back(file);
  }
  return files;
}

RenderConfig without_secrets(RenderConfig config) {
  if (config.metadata) return config;
  for (const Setting& setting : settings_table()) {
    if (setting.traits.secret) setting.field.reset(config);
  }
  return config;
}

}  // namespace flashblock
