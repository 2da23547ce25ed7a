// Files of the published gate: YAML, written by `analyze redundancy --gate`, named by `attention.gate`.
#pragma once

#include <filesystem>
#include <string>

#include "attention/policies/published_gate.h"

namespace flashblock {

/// Throws: ConfigError for a file that cannot be read, and for anything in it that is not as gate_yaml writes it. For
/// which model it is, is not looked at: see check_attention.
RefreshGate read_gate_file(const std::filesystem::path& file);

/// The file's text. `model`: what it was calibrated on, for readers.
std::string gate_yaml(const RefreshGate& gate, const GateThresholds& thresholds, const std::string& model);

}  // namespace flashblock
