// The report of a redundancy analysis: its JSON, from which redundancy.html draws itself, and its findings in words.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/redundancy.h"
#include "analysis/report_json.h"

namespace flashblock {

/// redundancy.html, which draws itself from redundancy_json (core/html_page.h).
std::string_view redundancy_page();

/// The findings, one sentence an entry, in plain text.
std::vector<std::string> redundancy_in_words(const Redundancy& redundancy);

/// Every pair of passes per layer and head, means over passes, the refreshes of the policies. Format: docs/analyze.md.
nlohmann::ordered_json redundancy_json(const CheckedVideo& video, const Redundancy& redundancy);

}  // namespace flashblock
