// The report of a fidelity analysis: its JSON, from which fidelity.html draws itself, and its verdicts in words.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "analysis/fidelity.h"
#include "analysis/report_json.h"

namespace flashblock {

/// fidelity.html, which draws itself from fidelity_json and the stills (core/html_page.h).
std::string_view fidelity_page();

/// What the measures say of one policy, in a few sentences of plain text.
std::string fidelity_in_words(const Fidelity& fidelity, const MeasuredRun& policy);

/// Every run: summary, verdict, and each measure as a list over frame blocks. What was not measured, and an infinite
/// PSNR (equal bit for bit), is null. Format: docs/analyze.md.
nlohmann::ordered_json fidelity_json(const CheckedVideo& video, const Fidelity& fidelity);

/// Frames of all runs at `moments` evenly spaced moments (fewer in a shorter video), for the page: a list with
/// `seconds` and `images`, one data URI of a JPEG for each run.
nlohmann::ordered_json fidelity_stills(const Fidelity& fidelity, int64_t moments, int64_t fps);

}  // namespace flashblock
