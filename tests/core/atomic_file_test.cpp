#include "core/atomic_file.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_file_writer.h"

namespace flashblock::testing {
namespace {

using ::testing::HasSubstr;

TEST(AtomicFile, AppearsCompleteOrNotAtAll) {
  const TemporaryFolder folder;
  const auto path = folder / "video.json";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("half of the n");
    EXPECT_EQ(read_bytes(path), "old");
  }
  EXPECT_EQ(read_bytes(path), "old");
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".part"));
  write_file_atomically(path, "new");
  EXPECT_EQ(read_bytes(path), "new");
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".part"));
}

TEST(AtomicFile, SaysWhichFileAndWhy) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_text<MediaError>([&] { write_file_atomically(folder / "none/video.json", "x"); }),
              HasSubstr("none/video.json: cannot be written: No such file"));
  EXPECT_THAT(error_text<MediaError>([] { write_file_atomically("/dev/full/x", "x"); }), HasSubstr("/dev/full/x"));
}

}  // namespace
}  // namespace flashblock::testing
