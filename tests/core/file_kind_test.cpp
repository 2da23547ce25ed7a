// What a file is called by its first bytes, and that text is not taken for anything else.
#include "core/file_kind.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/support/temporary_folder.h"

namespace flashblock::testing {
namespace {

using namespace std::string_literals;

class FileKindTest : public ::testing::Test {
 protected:
  KnownFile kind_of(const std::string& bytes) {
    std::ofstream(folder_ / "file", std::ios::binary) << bytes;
    return known_file(folder_ / "file");
  }
  TemporaryFolder folder_;
};

TEST_F(FileKindTest, IsToldByTheFirstBytes) {
  EXPECT_EQ(kind_of("RIFF\x10\0\0\0WEBPVP8 "s).kind, FileKind::kOtherImage);
  EXPECT_EQ(kind_of("RIFF\x10\0\0\0WAVEfmt "s).words, "a sound file (WAV)");
  EXPECT_EQ(kind_of("RIFF\x10\0\0\0AVI LIST"s).kind, FileKind::kVideo);
  EXPECT_EQ(kind_of("\x40\0\0\0\0\0\0\0{\"a\":{}}"s).kind, FileKind::kWeights);
  EXPECT_EQ(kind_of("\x89PNG\r\n\x1a\n").kind, FileKind::kImage);
  EXPECT_EQ(kind_of("\0\0\0\x1c"
                    "ftypavif"s)
                .kind,
            FileKind::kOtherImage);
  EXPECT_EQ(kind_of("\0\0\0\x1c"
                    "ftypisom"s)
                .kind,
            FileKind::kVideo);
  EXPECT_EQ(kind_of("ID3\x04\0\0"s).kind, FileKind::kSound);
}

TEST_F(FileKindTest, TextIsNotTakenForAnythingElse) {
  for (const char* text : {"a giant WAVE breaks over the pier", "tell me, WEBP is a format", "a plane, AVI file",
                           "ID3 tags float in the air", "12345678{\"prompt\": 1}", "BM", ""})
    EXPECT_EQ(kind_of(text).kind, FileKind::kUnknown) << text;
  EXPECT_EQ(known_file(folder_ / "missing").kind, FileKind::kUnknown);
  EXPECT_EQ(known_file(folder_.path()).kind, FileKind::kUnknown);
}

}  // namespace
}  // namespace flashblock::testing
