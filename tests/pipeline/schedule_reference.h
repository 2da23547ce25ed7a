// Schedules as the published reference computes them.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/test_data.h"

namespace flashblock::testing {

inline nlohmann::json schedule_reference() {
  std::ifstream file(test_data("parity/schedule.json"));
  return nlohmann::json::parse(file);
}

}  // namespace flashblock::testing
