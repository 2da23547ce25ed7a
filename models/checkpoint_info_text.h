// ModelInfo as text and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "models/checkpoint_info.h"

namespace flashblock {

/// Several lines of text.
std::string describe(const ModelInfo& info);

/// The same as JSON.
nlohmann::json to_json(const ModelInfo& info);

}  // namespace flashblock
