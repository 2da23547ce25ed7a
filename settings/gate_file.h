// Files of the published refresh gate: YAML, written by `analyze redundancy --gate`, read for `attention.gate`.
#pragma once

#include <filesystem>
#include <string>

#include "attention/policies/published_gate.h"

namespace flashblock {

/// Does not check which model the gate is for: see check_attention. Throws: ConfigError for a file that cannot be read
/// or that gate_yaml would not have written.
RefreshGate read_gate_file(const std::filesystem::path& file);

/// The text of the file. `model`: the name of the model that it was calibrated on, for readers.
std::string gate_yaml(const RefreshGate& gate, const GateThresholds& thresholds, const std::string& model);

}  // namespace flashblock
