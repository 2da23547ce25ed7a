#include "settings/gate_file.h"

#include <sstream>

#include "settings/strict_yaml.h"

namespace flashblock {
namespace {

constexpr int64_t kFormat = 1;

/// A row of digits, 1 for each head that refreshes.
std::vector<bool> read_heads(const YamlValue& value, int64_t heads) {
  const std::string text = value.text();
  if (static_cast<int64_t>(text.size()) != heads || text.find_first_not_of("01") != std::string::npos) {
    value.fail("found '" + text + "', wanted " + std::to_string(heads) + " digits 0 or 1, one per head");
  }
  std::vector<bool> row;
  for (const char digit : text) row.push_back(digit == '1');
  return row;
}

std::vector<std::vector<bool>> read_layer(const YamlValue& value, const RefreshGate& gate) {
  std::vector<std::vector<bool>> passes;
  for (const YamlValue& row : value.list()) passes.push_back(read_heads(row, gate.heads));
  if (static_cast<int64_t>(passes.size()) != gate.steps + 1) {
    value.fail("found " + std::to_string(passes.size()) + " passes, wanted " + std::to_string(gate.steps + 1) +
               ": the denoising steps and the clean pass");
  }
  return passes;
}

}  // namespace

RefreshGate read_gate_file(const std::filesystem::path& file) {
  YamlMap map(load_yaml(file));
  map.require("flashblock_gate").integer(kFormat, kFormat);
  map.find("model");
  map.find("cosine");
  map.find("lse_change");
  RefreshGate gate{.name = file.lexically_normal().string(),
                   .heads = map.require("heads").integer(1, 100000),
                   .steps = map.require("steps").integer(1, 1000)};
  for (const YamlValue& layer : map.require("layers").list()) gate.computes.push_back(read_layer(layer, gate));
  map.finish();
  return gate;
}

std::string gate_yaml(const RefreshGate& gate, const GateThresholds& thresholds, const std::string& model) {
  std::ostringstream out;
  out << "# Heads that refresh their external attention: a list per layer with a row per pass, one digit per head.\n"
         "# The clean pass comes last. Written by flashblock analyze redundancy --gate.\n"
      << "flashblock_gate: " << kFormat << "\nmodel: '" << model << "'\ncosine: " << thresholds.cosine
      << "\nlse_change: " << thresholds.lse_change << "\nheads: " << gate.heads << "\nsteps: " << gate.steps
      << "\nlayers:\n";
  for (const auto& layer : gate.computes) {
    out << "  - [";
    for (size_t pass = 0; pass < layer.size(); ++pass) {
      out << (pass > 0 ? ", \"" : "\"");
      for (const bool computes : layer[pass]) out << (computes ? '1' : '0');
      out << '"';
    }
    out << "]\n";
  }
  return out.str();
}

}  // namespace flashblock
