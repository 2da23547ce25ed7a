// The results of `flashblock bench`, as a table and as JSON, from which bench.html draws itself.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "analysis/benchmark.h"

namespace flashblock {

/// bench.html, which draws itself from bench_json (core/html_page.h).
std::string_view bench_page();

struct BenchReport {
  const RenderSetup& setup;
  const LoadedModel& model;
  const VideoBenchmark& measured;
};

/// Medians and ratios, for a terminal.
std::string bench_table(const BenchReport& report);

/// Every single time, medians and ratios. What the rows mean: docs/bench.md.
nlohmann::ordered_json bench_json(const BenchReport& report);

}  // namespace flashblock
