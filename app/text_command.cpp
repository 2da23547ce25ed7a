#include "app/text_command.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "app/interrupt.h"
#include "app/option_group.h"
#include "core/atomic_file.h"
#include "core/device.h"
#include "language/chat_text.h"
#include "language/language_folder.h"
#include "language/text_decoder.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// Prints what is decoded, block by block: as text, or without a tokenizer as token ids.
class TextPrinter : public TextObserver {
 public:
  explicit TextPrinter(const std::optional<BytePairTokenizer>& tokenizer) {
    if (tokenizer) stream_.emplace(*tokenizer);
  }

  void decoded(const std::vector<int64_t>& tokens) override {
    for (const int64_t token : tokens) {
      if (stream_)
        std::cout << stream_->add(token);
      else
        std::cout << (std::exchange(first_, false) ? "" : " ") << token;
    }
    std::cout.flush();
  }

  void finish() {
    if (stream_) std::cout << stream_->finish();
    std::cout << std::endl;
  }

 private:
  std::optional<TextStream> stream_;
  bool first_ = true;
};

/// Also keeps every pass, for a recording.
class RecordingPrinter : public TextPrinter {
 public:
  RecordingPrinter(const std::optional<BytePairTokenizer>& tokenizer, bool record)
      : TextPrinter(tokenizer), record_(record) {}

  void pass(const DecodedPass& pass) override {
    if (!record_) return;
    const std::string front = "pass." + std::to_string(passes_++) + ".";
    const auto places = static_cast<int64_t>(pass.ids.size());
    const auto booleans = [&](const std::vector<bool>& values) {
      const at::Tensor tensor = at::zeros({places}, at::kBool);
      for (int64_t i = 0; i < places; ++i) tensor.data_ptr<bool>()[i] = values[static_cast<size_t>(i)];
      return tensor;
    };
    tensors_.emplace_back(front + "block", at::tensor({pass.block}, at::kLong));
    tensors_.emplace_back(front + "ids", at::tensor(pass.ids, at::kLong));
    tensors_.emplace_back(front + "argmax", at::tensor(pass.argmax, at::kLong));
    tensors_.emplace_back(front + "confidence", at::tensor(pass.confidence, at::kFloat));
    tensors_.emplace_back(front + "transfer", booleans(pass.transfer));
    tensors_.emplace_back(front + "clean", booleans(std::vector<bool>(pass.ids.size(), pass.clean)));
    tensors_.emplace_back(front + "external_computed", booleans(pass.external_computed));
  }

  void write(const fs::path& path, const std::vector<int64_t>& ids) {
    if (!record_) return;
    tensors_.emplace_back("ids", at::tensor(ids, at::kLong));
    write_tensor_file(path, tensors_);
  }

 private:
  bool record_;
  int64_t passes_ = 0;
  NamedTensors tensors_;
};

std::vector<int64_t> replayed_prompt(const fs::path& file) {
  const auto store = WeightStore::open(file);
  const at::Tensor ids = store->tensor("ids");
  if (ids.dim() != 1 || !at::isIntegralType(ids.scalar_type(), false))
    throw ConfigError(file.string() + ": ids is no list of whole numbers", {.key = "replay"});
  const at::Tensor wide = ids.to(at::kLong).contiguous();
  return {wide.const_data_ptr<int64_t>(), wide.const_data_ptr<int64_t>() + wide.numel()};
}

std::vector<int64_t> prompt_ids(const TextRequest& request, const std::optional<BytePairTokenizer>& tokenizer) {
  if (!request.replay.empty()) return replayed_prompt(request.replay);
  if (!tokenizer)
    throw WeightsError(request.model +
                       ": has no tokenizer.json, nor vocab.json and merges.txt; give tokens by --replay");
  if (request.raw) return tokenizer->encode(request.prompt);
  std::vector<ChatMessage> messages;
  if (!request.system.empty()) messages.push_back({ChatMessage::Role::kSystem, request.system});
  messages.push_back({ChatMessage::Role::kUser, request.prompt});
  return chat_ids(*tokenizer, messages);
}

std::string end_name(TextEnd end) {
  switch (end) {
    case TextEnd::kEndToken:
      return "end_token";
    case TextEnd::kLength:
      return "length";
    case TextEnd::kStopped:
      return "stopped";
  }
  return {};
}

void write_stats(const TextRequest& request, const LanguageModel& model, const DecodedText& text, int64_t prompt) {
  const auto tokens = static_cast<int64_t>(text.tokens.size());
  const LanguageCounters& work = text.counters;
  const nlohmann::ordered_json stats = {{"model", request.model},
                                        {"device", model.device().str()},
                                        {"dtype", dtype_name(model.dtype())},
                                        {"seed", request.config.decoding.seed},
                                        {"prompt_tokens", prompt},
                                        {"tokens", tokens},
                                        {"end", end_name(text.end)},
                                        {"prefill_seconds", text.prefill_seconds},
                                        {"seconds", text.seconds},
                                        {"tokens_per_second", text.seconds > 0 ? double(tokens) / text.seconds : 0},
                                        {"passes", work.passes},
                                        {"external_computed", work.external_computed},
                                        {"external_reused", work.external_reused},
                                        {"weight_bytes", work.weight_bytes},
                                        {"cache_bytes", work.cache_bytes}};
  write_file_atomically(request.stats, stats.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace

TextCommand::TextCommand(CLI::App& app) : command_(*app.add_subcommand("text", "Decode a text with a language model")) {
  const OptionGroup prompt(command_, "Prompt");
  prompt.add("PROMPT", request_.prompt, "", "What the model answers");
  prompt.add("--system", request_.system, "TEXT", "The system message before it");
  prompt.add_flag("--raw", request_.raw, "Continue PROMPT itself: no chat template, no change of it");
  prompt.add("--replay", replay_, "FILE.safetensors", "Take the prompt's token ids from a file (tensor ids) instead");
  const OptionGroup model(command_, "Model");
  model.add("-m,--model", request_.model, "PATH", "A folder as published (SDAR, TraDo), or a model file of one")
      ->required();
  for (const TextSetting& setting : text_settings()) {
    if (!setting.option.empty()) add_key(setting);
  }
  const OptionGroup run(command_, "Run");
  run.add("--set", sets_, "KEY=VALUE", "Any key of text: decoding.*, attention.*; repeatable");
  run.add("--stats", stats_, "FILE.json", "Write tokens, times and work to this file");
  run.add("--record", record_, "FILE.safetensors", "Write all tokens and passes to this file");
}

void TextCommand::add_key(const TextSetting& setting) {
  const auto take = [this, &setting](const std::string& value) {
    read_text_setting(setting.option, setting.name, value, request_.config);
  };
  command_.add_option_function<std::string>(setting.option, take, setting.help + " [" + setting.otherwise + "]")
      ->type_name(setting.type)
      ->group("Model");
}

std::optional<TextRequest> TextCommand::request() {
  if (!command_.parsed()) return {};
  request_.replay = replay_;
  request_.stats = stats_;
  request_.record = record_;
  for (const std::string& text : sets_) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw ConfigError("--set: found '" + text + "', wanted KEY=VALUE, such as decoding.steps=2");
    read_text_setting("--set", text.substr(0, equals), text.substr(equals + 1), request_.config);
  }
  if (request_.prompt.empty() == request_.replay.empty())
    throw ConfigError(request_.prompt.empty() ? "no prompt: give PROMPT or --replay FILE"
                                              : "there are two prompts, PROMPT and --replay: give one of them");
  if (!request_.replay.empty() && (request_.raw || !request_.system.empty()))
    throw ConfigError("--replay gives the whole prompt: neither --raw nor --system can be given with it");
  if (request_.raw && !request_.system.empty()) throw ConfigError("--raw leaves no place for --system");
  validate(request_.config);
  return std::move(request_);
}

int run_text(const TextRequest& asked) {
  TextRequest request = asked;
  const fs::path folder = find_language_model(request.model);
  const at::Device device = resolve_device(request.config.device);
  const LoadedLanguageModel loaded = load_language_folder(folder, device, resolve_dtype(request.config.dtype, device));
  const std::vector<int64_t> prompt = prompt_ids(request, loaded.tokenizer);
  DecodingConfig& decoding = request.config.decoding;
  decoding.seed = request.config.seed ? *request.config.seed : std::random_device{}();
  RecordingPrinter printer(loaded.tokenizer, !request.record.empty());
  const Interrupt interrupt;
  const DecodedText text =
      decode_text(*loaded.model, prompt, decoding, request.config.attention, printer, interrupt.token());
  printer.finish();
  printer.write(request.record, text.ids);
  if (!request.stats.empty()) write_stats(request, *loaded.model, text, static_cast<int64_t>(prompt.size()));
  return text.end == TextEnd::kStopped ? 128 + interrupt.signal() : 0;
}

}  // namespace flashblock
