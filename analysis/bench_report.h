// What `flashblock bench` found, as a table and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "analysis/benchmark.h"

namespace flashblock {

struct BenchReport {
  const RenderSetup& setup;
  const LoadedModel& model;
  const VideoBenchmark& measured;
};

/// Medians for people.
std::string bench_table(const BenchReport& report);

/// Every single time, medians and ratios. Format: docs/bench.md.
nlohmann::ordered_json bench_json(const BenchReport& report);

}  // namespace flashblock
