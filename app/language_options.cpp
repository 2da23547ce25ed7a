#include "app/language_options.h"

#include <utility>

#include "app/option_group.h"
#include "core/error.h"
#include "language/chat_text.h"

namespace flashblock {

void LanguageOptions::add_prompt() {
  const OptionGroup prompt(command_, "Prompt");
  prompt.add("--system", request_.system, "TEXT", "The system message before the prompt");
  prompt.add_flag("--raw", request_.raw, "The prompt as it is, without the chat template: the model continues it");
}

void LanguageOptions::add_model() {
  const OptionGroup model(command_, "Model");
  model.add("-m,--model", request_.model, "PATH",
            "A folder as published (SDAR, TraDo), or a model file of one [the one in the box]");
  for (const TextSetting& setting : text_settings()) {
    if (setting.option.empty()) continue;
    const auto take = [this, &setting](const std::string& value) {
      read_text_setting(setting.option, setting.name, value, request_.config);
    };
    command_.add_option_function<std::string>(setting.option, take, setting.help + " [" + setting.otherwise + "]")
        ->type_name(setting.type)
        ->group("Model");
  }
}

void LanguageOptions::add_set() {
  const OptionGroup run(command_, "Run");
  run.add("--set", sets_, "KEY=VALUE", "Any key of text, decoding.* or attention.*; repeatable");
}

LanguageRequest LanguageOptions::request() {
  for (const std::string& text : sets_) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw ConfigError("--set: found '" + text + "', wanted KEY=VALUE, such as decoding.steps=2");
    read_text_setting("--set", text.substr(0, equals), text.substr(equals + 1), request_.config);
  }
  if (request_.raw && !request_.system.empty()) throw ConfigError("--raw leaves no place for --system");
  validate(request_.config);
  return std::move(request_);
}

LanguageFolder open_language_folder(const LanguageRequest& request) {
  if (!request.model.empty()) return open_language_folder(find_language_model(request.model));
  if (const auto included = language_folder(kIncludedLanguageModel)) return open_language_folder(*included);
  throw ConfigError("no model is given, and none is in the box: -m MODEL is needed");
}

std::vector<int64_t> prompt_ids(const LanguageRequest& request, const LanguageFolder& folder,
                                const std::string& prompt) {
  if (!folder.tokenizer)
    throw WeightsError(folder.path.string() +
                       ": has no tokenizer.json, nor vocab.json and merges.txt; wanted the whole folder as published");
  if (request.raw) return folder.tokenizer->encode(prompt);
  std::vector<ChatMessage> messages;
  if (!request.system.empty()) messages.push_back({ChatMessage::Role::kSystem, request.system});
  messages.push_back({ChatMessage::Role::kUser, prompt});
  return chat_ids(*folder.tokenizer, messages);
}

}  // namespace flashblock
