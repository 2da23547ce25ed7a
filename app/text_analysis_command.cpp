#include "app/text_analysis_command.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "analysis/text_fidelity_report.h"
#include "app/analysis_setup.h"
#include "app/interrupt.h"
#include "app/option_group.h"
#include "attention/refresh_policy.h"
#include "core/atomic_file.h"
#include "core/device.h"
#include "core/error.h"
#include "core/html_page.h"
#include "core/plain_text.h"
#include "render/own_file.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// False for a policy that needs more than defaults, a file.
bool is_complete(const AttentionConfig& attention) {
  try {
    validate(attention);
    return true;
  } catch (const ConfigError&) {
    return false;
  }
}

/// What is measured unless asked otherwise: all policies that need no file, and what can be added to `usual`.
std::vector<std::string> usual_policies(const RefreshPolicyRef& usual) {
  std::vector<std::string> policies;
  for (const RefreshPolicy* policy : refresh_policies()) {
    AttentionConfig alone = text_attention();
    alone.refresh = policy->text().name;
    const bool is_floor = alone.refresh == RefreshPolicyRef("every_pass");  // measured in any case
    if (is_complete(alone) && !is_floor) policies.emplace_back(policy->text().name);
  }
  for (const char* also :
       {",correction=mean_key", ",recompute_decoded_rows=true", ",density=0.2,residual=dropped", ",density=0.2",
        ",density=0.3,residual=dropped", ",density=0.3", ",density=0.4,residual=dropped", ",density=0.4"})
    policies.push_back(to_string(usual) + also);
  return policies;
}

NamedAttention read_policy(const std::string& words, TextConfig config) {
  for (const ConfigLayer& layer : policy_layers(words)) read_text_settings(layer, config);
  try {
    validate(config.attention);
  } catch (const ConfigError& error) {
    throw ConfigError("--policy " + words + ": " + error.what());
  }
  return {.name = words, .attention = config.attention};
}

/// The lines of a file that are not empty.
std::vector<std::string> lines_of(const std::string& file) {
  std::istringstream text(read_text_file(file, "prompts, one a line"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

/// What the report says before the measures.
nlohmann::ordered_json head(const TextAnalysisRequest& request, const LanguageFolder& folder,
                            const LanguageModel& model) {
  const DecodingConfig& decoding = request.language.config.decoding;
  return {{"program", "flashblock " FLASHBLOCK_VERSION},
          {"analysis", "text"},
          {"model", folder.path.filename().string()},
          {"device", model.device().str()},
          {"dtype", dtype_name(model.dtype())},
          {"seed", decoding.seed},
          {"decoding",
           {{"block_size", decoding.block_size > 0 ? decoding.block_size : model.config().block_size},
            {"steps", decoding.steps},
            {"remasking", to_string(decoding.remasking.rule)},
            {"threshold", decoding.remasking.threshold},
            {"entropy_bound", decoding.remasking.entropy_bound},
            {"temperature", decoding.sampling.temperature},
            {"top_k", decoding.sampling.top_k},
            {"top_p", decoding.sampling.top_p},
            {"max_tokens", decoding.max_tokens},
            {"stop_at_end", decoding.stop_at_end}}},
          {"system", request.language.system},
          {"raw", request.language.raw},
          {"prompts", request.prompts}};
}

}  // namespace

TextAnalysisCommand::TextAnalysisCommand(CLI::App& analyze)
    : command_(*analyze.add_subcommand(
          "text",
          "Decode texts with exact and with reused attention and compare them: a page, and the numbers as JSON")),
      options_(command_) {
  const OptionGroup prompt(command_, "Prompt");
  prompt.add("PROMPT", request_.prompts, "", "What the model is asked; each a text")->allow_extra_args();
  prompt.add("--prompts", prompts_file_, "FILE", "More of them, one a line");
  options_.add_prompt();
  options_.add_model();
  const OptionGroup analysis(command_, "Analysis");
  analysis.add("--policy", policies_, "NAME[,KEY=VALUE]...",
               "A refresh policy to measure, with its settings if any; repeatable [all that need no file, and sparse "
               "attention]");
  analysis.add("-o,--output", page_, "NAME.html", "The page; NAME.json is written beside it [named after the model]");
  analysis.add_flag("--overwrite", request_.overwrite, "Replace files that exist");
  const OptionGroup run(command_, "Run");
  run.add_flag("--quiet", request_.quiet, "Print nothing but errors");
  options_.add_set();
}

std::optional<TextAnalysisRequest> TextAnalysisCommand::request() {
  if (!command_.parsed()) return {};
  request_.language = options_.request();
  if (!prompts_file_.empty())
    for (std::string& line : lines_of(prompts_file_)) request_.prompts.push_back(std::move(line));
  if (request_.prompts.empty()) throw ConfigError("no prompt: give PROMPT or --prompts FILE");
  if (policies_.empty()) policies_ = usual_policies(text_attention().refresh);
  for (const std::string& words : policies_) request_.policies.push_back(read_policy(words, request_.language.config));
  request_.page = page_;
  if (!page_.empty() && request_.page.extension() != ".html")
    throw ConfigError("--output " + page_ + ": wanted a name that ends in .html");
  request_.language.config.decoding.seed = request_.language.config.seed.value_or(0);
  return std::move(request_);
}

int run_text_analysis(const TextAnalysisRequest& request) {
  const TextConfig& config = request.language.config;
  const at::Device device = resolve_device(config.device);
  const at::ScalarType dtype = resolve_dtype(config.dtype, device);
  const LanguageFolder folder = open_language_folder(request.language);
  const fs::path page =
      fs::absolute(request.page.empty() ? fs::path(folder.path.filename().string() + "-text.html") : request.page);
  const fs::path json = fs::path(page).replace_extension(".json");
  for (const fs::path& file : {page, json}) check_report_file(file, request.overwrite);
  TextFidelityOptions options{.policies = request.policies, .decoding = config.decoding};
  options.decoding.reuse_from = 0;  // policies are measured on texts of any length
  for (const std::string& prompt : request.prompts) {
    options.prompts.push_back(prompt_ids(request.language, folder, prompt));
    for (const NamedAttention& policy : options.policies)
      check_text(folder.config, options.prompts.back(), options.decoding, policy.attention);
  }
  const auto model = load_language_model(folder, device, dtype);
  int status = 0;
  const auto fidelity = run_until_interrupted(status, [&](const std::stop_token& stop) {
    const auto begin_text = [&](size_t text) {
      if (!request.quiet) std::cerr << "flashblock: text " << text + 1 << " of " << options.prompts.size() << std::endl;
    };
    return measure_text_fidelity(*model, options, begin_text, stop);
  });
  if (!fidelity) return status;
  nlohmann::ordered_json report = head(request, folder, *model);
  for (const auto& text : fidelity->texts) report["exact_texts"].push_back(folder.tokenizer->decode(text));
  report.update(text_fidelity_json(*fidelity));
  write_file_atomically(json, json_text(report, 1));
  write_page(page, text_fidelity_page(), report);
  if (!request.quiet) std::cout << text_fidelity_table(*fidelity) << page.string() << '\n';
  return 0;
}

}  // namespace flashblock
