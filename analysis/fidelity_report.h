// A fidelity analysis as it is told: one content, as JSON and as a page.
#pragma once

#include <string>
#include <vector>

#include "analysis/fidelity.h"
#include "app/analysis_setup.h"
#include "render/render_setup.h"

namespace flashblock {

/// Everything that a report is made from.
struct FidelityReport {
  const RenderSetup& setup;
  const Fidelity& fidelity;
  std::string device, dtype;
  std::string video;   ///< where the page finds the side-by-side video: a relative name or a data URI; empty: none
  int64_t stills = 6;  ///< frames of each run in the page
};

/// Numbers of every run: video, summary, verdict, and each measure as a list over frame blocks. What was not measured,
/// and an infinite PSNR (equal bit for bit), is null.
std::string fidelity_json(const FidelityReport& report);

/// The page. Prompts are left out if the configuration says so.
std::string fidelity_page(const FidelityReport& report);

/// What the measures say of one policy, in a few sentences of plain text.
std::string fidelity_words(const FidelityReport& report, const MeasuredRun& policy);

}  // namespace flashblock
