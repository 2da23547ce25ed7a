#include "app/redundancy_command.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/analysis_pages.h"
#include "analysis/redundancy_report.h"
#include "app/analysis_setup.h"
#include "app/interrupt.h"
#include "core/atomic_file.h"
#include "core/device.h"
#include "core/html_page.h"
#include "render/render_setup.h"
#include "settings/gate_file.h"

namespace flashblock {

int run_redundancy(const RedundancyRequest& request) {
  const AnalysisSetup analysis = set_up_analysis(request.analysis, "redundancy");
  if (!request.gate.empty()) check_analysis_file(std::filesystem::absolute(request.gate), analysis.config.overwrite);
  const at::Device device = resolve_device(analysis.config.device);
  Profile profile;
  LoadedModel model(analysis.config.model, device, resolve_dtype(analysis.config.dtype, device), profile);
  const RenderSetup setup = set_up_render(analysis.config, model.transformer_config());
  RedundancyOptions options{.gate = request.thresholds, .points = request.points};
  for (const ChosenPolicy& policy : analysis.policies) {
    check_attention(policy.attention, analysis.config.model.recipe, model.transformer_config());
    options.policies.push_back({policy.name, policy.attention});
  }
  std::optional<Redundancy> redundancy;
  int signal = 0;
  {
    const auto observer = make_progress(request.analysis.progress);
    const Interrupt interrupt;
    redundancy = measure_redundancy(setup, model, options, profile, *observer, interrupt.token());
    signal = interrupt.signal();
  }
  if (!redundancy) {
    std::cerr << "flashblock: interrupted; nothing was written\n";
    return 128 + signal;
  }
  if (!request.gate.empty()) {
    const RefreshGate gate = calibrate_gate(*redundancy, request.thresholds, request.gate.string());
    write_file_atomically(request.gate, gate_yaml(gate, request.thresholds, analysis.config.model.name));
  }
  const nlohmann::ordered_json report =
      redundancy_json({.setup = setup, .device = device.str(), .dtype = dtype_name(model.dtype())}, *redundancy);
  write_file_atomically(analysis.json, json_text(report, -1));
  write_page(analysis.page, redundancy_page(), report);
  if (request.analysis.quiet) return 0;
  for (const std::string& sentence : redundancy_in_words(*redundancy)) std::cout << sentence << '\n';
  std::cout << analysis.page.string() << '\n';
  return 0;
}

}  // namespace flashblock
