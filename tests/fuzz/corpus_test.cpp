// The committed inputs of the fuzz targets, in the ordinary build: those that once were a finding stay mended.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/fuzz/targets.h"
#include "tests/support/test_data.h"
#include "tests/support/torch_file_writer.h"

namespace flashblock::fuzz {
namespace {

TEST(FuzzCorpus, EveryInputIsReadOrRefused) {
  for (const Target& target : kTargets) {
    size_t inputs = 0;
    for (const auto& file : std::filesystem::directory_iterator(testing::test_data("../fuzz/corpus") / target.name)) {
      SCOPED_TRACE(file.path().string());
      const std::string bytes = testing::read_bytes(file.path());
      EXPECT_NO_THROW(target.run({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
      ++inputs;
    }
    EXPECT_GE(inputs, 3u) << target.name;
  }
}

}  // namespace
}  // namespace flashblock::fuzz
