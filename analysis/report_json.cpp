#include "analysis/report_json.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "attention/refresh_policy.h"
#include "core/device.h"
#include "render/sidecar.h"
#include "settings/config_file.h"

namespace flashblock {

nlohmann::ordered_json report_head(const std::string& analysis, const CheckedVideo& video) {
  const RenderConfig config = published_config(video.setup.config);
  return {{"program", "flashblock " FLASHBLOCK_VERSION},
          {"analysis", analysis},
          {"model", config.model.name},
          {"device", video.device.str()},
          {"dtype", dtype_name(video.dtype)},
          {"prompt", config.prompt},
          {"seed", *config.seed},
          {"width", config.width},
          {"height", config.height},
          {"fps", config.fps},
          {"frames", video.setup.plan.frames},
          {"frame_blocks", video.setup.plan.blocks},
          {"configuration", config_yaml(config, PathStyle::kPublic)},
          {"policies_in_words", policies_in_words()}};
}

nlohmann::ordered_json policies_in_words() {
  nlohmann::ordered_json words = nlohmann::ordered_json::object();
  for (const RefreshPolicy* policy : refresh_policies()) words[std::string(policy->text().name)] = policy->text().help;
  return words;
}

nlohmann::ordered_json rounded(double value, int digits) {
  if (!std::isfinite(value)) return nullptr;
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return std::stod(text);
}

std::string number_text(double value, int decimals, const std::string& infinite) {
  if (std::isnan(value)) return "–";
  const std::string minus = value < 0 ? "−" : "";
  if (std::isinf(value)) return minus + infinite;
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, std::abs(value));
  const bool zero = std::string_view(text).find_first_not_of("0.") == std::string_view::npos;
  return (zero ? "" : minus) + text;
}

std::string percent_text(double part) { return number_text(100 * part, 1) + " %"; }

}  // namespace flashblock
