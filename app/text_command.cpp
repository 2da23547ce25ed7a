#include "app/text_command.h"

#include <ATen/Functions.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "app/interrupt.h"
#include "app/option_group.h"
#include "core/atomic_file.h"
#include "core/device.h"
#include "core/error.h"
#include "core/html_page.h"
#include "core/output_path.h"
#include "language/language_folder.h"
#include "language/text_decoder.h"
#include "render/own_file.h"
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

  /// Throws: MediaError if the text could not be written.
  void finish() {
    if (stream_) std::cout << stream_->finish();
    if (!(std::cout << std::endl)) throw MediaError("standard output: the text could not be written to it");
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
    write_tensor_file(path, tensors_, {{"program", "flashblock " FLASHBLOCK_VERSION}});
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
  const nlohmann::ordered_json stats = {{"program", "flashblock " FLASHBLOCK_VERSION},
                                        {"model", request.language.model},
                                        {"device", model.device().str()},
                                        {"dtype", dtype_name(model.dtype())},
                                        {"seed", *request.language.config.seed},
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
  write_file_atomically(request.stats, json_text(stats, 2));
}

/// The seed of sampling. One that was drawn is printed where it matters.
uint64_t settle_seed(TextConfig& config) {
  if (!config.seed) {
    config.seed = std::random_device{}();
    if (!config.decoding.sampling.greedy()) std::cerr << "flashblock: seed " << *config.seed << std::endl;
  }
  return *config.seed;
}

}  // namespace

TextCommand::TextCommand(CLI::App& app)
    : command_(*app.add_subcommand("text", "Decode a text with a block-diffusion language model")), options_(command_) {
  const OptionGroup prompt(command_, "Prompt");
  prompt.add("PROMPT", request_.prompt, "", "What the model is asked; after -- it may begin with a dash");
  options_.add_prompt();
  prompt.add("--replay", replay_, "FILE.safetensors", "Take the prompt's token ids from a file (tensor ids) instead");
  options_.add_model();
  const OptionGroup run(command_, "Run");
  run.add("--stats", stats_, "FILE.json", "Write tokens, times, and work to this file");
  run.add("--record", record_, "FILE.safetensors", "Write all tokens and passes to this file");
  run.add_flag("--overwrite", request_.overwrite, "Replace these files if they exist");
  options_.add_set();
}

std::optional<TextRequest> TextCommand::request() {
  if (!command_.parsed()) return {};
  request_.replay = replay_;
  request_.stats = stats_;
  request_.record = record_;
  request_.language = options_.request();
  if (request_.prompt.empty() && replay_.empty()) throw ConfigError("no prompt: give PROMPT or --replay FILE");
  if (!request_.prompt.empty() && !replay_.empty())
    throw ConfigError("there are two prompts, PROMPT and --replay: give one of them");
  if (!replay_.empty() && (request_.language.raw || !request_.language.system.empty()))
    throw ConfigError("--replay gives the whole prompt: neither --raw nor --system can be given with it");
  return std::move(request_);
}

int run_text(const TextRequest& asked) {
  TextRequest request = asked;
  TextConfig& config = request.language.config;
  const at::Device device = resolve_device(config.device);
  const at::ScalarType dtype = resolve_dtype(config.dtype, device);
  for (const fs::path& file : {request.stats, request.record})
    if (!file.empty()) check_report_file(file, request.overwrite, {request.replay});
  if (!request.stats.empty() && real_path(request.stats) == real_path(request.record))
    throw ConfigError("--stats and --record name one file: choose another name for one of them");
  const LanguageFolder folder = open_language_folder(request.language);
  const std::vector<int64_t> prompt =
      request.replay.empty() ? prompt_ids(request.language, folder, request.prompt) : replayed_prompt(request.replay);
  check_text(folder.config, prompt, config.decoding, config.attention);
  request.language.model = folder.path.string();
  config.decoding.seed = settle_seed(config);
  const auto model = load_language_model(folder, device, dtype);
  RecordingPrinter printer(folder.tokenizer, !request.record.empty());
  const Interrupt interrupt;
  const DecodedText text = decode_text(*model, prompt, config.decoding, config.attention, printer, interrupt.token());
  printer.finish();
  printer.write(request.record, text.ids);
  if (!request.stats.empty()) write_stats(request, *model, text, static_cast<int64_t>(prompt.size()));
  return text.end == TextEnd::kStopped ? 128 + interrupt.signal() : 0;
}

}  // namespace flashblock
