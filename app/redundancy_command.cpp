#include "app/redundancy_command.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/redundancy_report.h"
#include "app/analysis_setup.h"
#include "app/interrupt.h"
#include "core/atomic_file.h"
#include "core/html_page.h"
#include "render/own_file.h"
#include "settings/gate_file.h"

namespace flashblock {

int run_redundancy(const RedundancyRequest& request) {
  const AnalysisSetup analysis = set_up_analysis(request.analysis, "redundancy");
  if (!request.gate.empty()) check_report_file(request.gate, analysis.config.overwrite, analysis.inputs);
  Renderer renderer;
  const CheckedVideo video = check_analysis(analysis, renderer);
  int status = 0;
  const auto redundancy = run_until_interrupted(status, [&](const std::stop_token& stop) {
    const auto observer = make_progress(request.analysis.progress);
    return measure_redundancy(video.setup, renderer.model(analysis.config),
                              {.policies = analysis.policies, .gate = request.thresholds, .points = request.points},
                              *observer, stop);
  });
  if (!redundancy) return status;
  if (!request.gate.empty()) {
    const RefreshGate gate = calibrate_gate(*redundancy, request.thresholds, request.gate.string());
    write_file_atomically(request.gate, gate_yaml(gate, request.thresholds, analysis.config.model.name));
  }
  const nlohmann::ordered_json report = redundancy_json(video, *redundancy);
  write_file_atomically(analysis.json, json_text(report, -1));
  write_page(analysis.page, redundancy_page(), report);
  if (request.analysis.quiet) return 0;
  for (const std::string& sentence : redundancy_in_words(*redundancy)) std::cout << sentence << '\n';
  std::cout << analysis.page.string() << '\n';
  return 0;
}

}  // namespace flashblock
