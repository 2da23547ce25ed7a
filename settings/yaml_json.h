// YAML documents as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace flashblock {

/// A YAML document as JSON, in its order; what is not in quotes becomes a number or a truth value where it can.
nlohmann::ordered_json yaml_to_json(const std::string& yaml);

}  // namespace flashblock
