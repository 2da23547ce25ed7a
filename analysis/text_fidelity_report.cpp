#include "analysis/text_fidelity_report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "analysis/report_json.h"

namespace flashblock {
namespace {

using nlohmann::ordered_json;

constexpr int kDigits = 6;

/// Share of the exact texts' tokens that stand before the first one that differs.
double equal_share(const TextFidelity& fidelity, const TextPolicyMeasures& policy) {
  double equal = 0, all = 0;
  for (size_t i = 0; i < fidelity.texts.size(); ++i) {
    equal += double(policy.equal_tokens[i]);
    all += double(fidelity.texts[i].size());
  }
  return equal / all;
}

ordered_json policy_json(const TextFidelity& fidelity, const TextPolicyMeasures& policy) {
  ordered_json blocks = ordered_json::array();
  for (const double divergence : policy.block_divergence) blocks.push_back(rounded(divergence, kDigits));
  return {{"name", policy.name},
          {"external_computed", policy.external_computed},
          {"external_reused", policy.external_reused},
          {"computed_share", rounded(policy.computed_share(), kDigits)},
          {"divergence_nats", rounded(policy.divergence, kDigits)},
          {"same_token_share", rounded(policy.same_token, kDigits)},
          {"hidden_error", rounded(policy.hidden_error, kDigits)},
          {"equal_texts", policy.equal_texts()},
          {"equal_token_share", rounded(equal_share(fidelity, policy), kDigits)},
          {"equal_tokens", policy.equal_tokens},
          {"block_divergence_nats", std::move(blocks)}};
}

}  // namespace

std::string text_fidelity_table(const TextFidelity& fidelity) {
  const auto line = [](const char* format, auto... values) {
    char text[200];
    std::snprintf(text, sizeof text, format, values...);
    return std::string(text);
  };
  std::string table =
      line("%-52s %9s %10s %9s %9s %12s\n", "attention", "computed", "KL, nats", "top-1", "error", "equal texts");
  for (const TextPolicyMeasures& policy : fidelity.policies) {
    table += line("%-52s %7.1f %% %10.2e %7.2f %% %9.2e %7lld / %zu\n", policy.name.c_str(),
                  100 * policy.computed_share(), policy.divergence, 100 * policy.same_token, policy.hidden_error,
                  static_cast<long long>(policy.equal_texts()), fidelity.texts.size());
  }
  return table;
}

ordered_json text_fidelity_json(const TextFidelity& fidelity) {
  ordered_json policies = ordered_json::array(), tokens = ordered_json::array();
  for (const TextPolicyMeasures& policy : fidelity.policies) policies.push_back(policy_json(fidelity, policy));
  for (const auto& text : fidelity.texts) tokens.push_back(text.size());
  return {{"texts", fidelity.texts.size()},  {"tokens", std::move(tokens)},
          {"passes", fidelity.passes},       {"open_places", fidelity.places},
          {"policies", std::move(policies)}, {"policies_in_words", policies_in_words()}};
}

}  // namespace flashblock
