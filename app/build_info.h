// What the program was built with.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace flashblock {

/// Version, compiler, libraries and GPU architectures; the libraries that it runs with where they may differ.
nlohmann::ordered_json build_info();

}  // namespace flashblock
