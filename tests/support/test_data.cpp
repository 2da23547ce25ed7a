#include "tests/support/test_data.h"

#include <cstdlib>

namespace flashblock::testing {

std::filesystem::path test_data(const std::string& name) {
  const char* folder = std::getenv("FLASHBLOCK_TEST_DATA");
  return std::filesystem::path(folder ? folder : FLASHBLOCK_TEST_DATA) / name;
}

}  // namespace flashblock::testing
