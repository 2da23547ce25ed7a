// What the reports of all analyses have in common.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "render/render.h"

namespace flashblock {

/// The first entries of a report: program, analysis, video and configuration, without prompts if `metadata` is off.
nlohmann::ordered_json report_head(const std::string& analysis, const CheckedVideo& video);

/// What each refresh policy refreshes, by its name: reports name policies, and their pages say what the names mean.
nlohmann::ordered_json policies_in_words();

/// A measure, rounded to `digits` significant digits; null for what is not finite.
nlohmann::ordered_json rounded(double value, int digits);

/// A number in a sentence: −0.25; a dash for what was not measured, `infinite` for infinity.
std::string number_text(double value, int decimals, const std::string& infinite = "∞");
std::string percent_text(double part);  ///< 12.5 %

}  // namespace flashblock
