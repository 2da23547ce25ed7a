// Paths of the committed test data.
#pragma once

#include <filesystem>
#include <string>

namespace flashblock::testing {

/// tests/data/`name`: of $FLASHBLOCK_TEST_DATA if set (a bundle on another machine), else of the source tree.
std::filesystem::path test_data(const std::string& name);

}  // namespace flashblock::testing
