// The report of a fidelity analysis of texts: its JSON, from which text_fidelity.html draws itself, and a table.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "analysis/text_fidelity.h"

namespace flashblock {

/// text_fidelity.html, which draws itself from text_fidelity_json (core/html_page.h).
std::string_view text_fidelity_page();

/// A line for each policy, for a terminal.
std::string text_fidelity_table(const TextFidelity& fidelity);

/// Numbers of texts, passes and places, and the measures of each policy. Format: docs/analyze.md.
nlohmann::ordered_json text_fidelity_json(const TextFidelity& fidelity);

}  // namespace flashblock
