#include "core/sha256.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

// Digests of FIPS 180-4's examples and of what sha256sum says.
TEST(Sha256, IsThatOfTheStandard) {
  const testing::TemporaryFolder folder;
  const auto digest = [&](const std::string& text) {
    std::ofstream(folder / "file", std::ios::binary) << text;
    EXPECT_EQ(sha256(text), file_sha256(folder / "file"));
    return file_sha256(folder / "file");
  };
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(digest(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_THROW(file_sha256(folder / "gone"), MediaError);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(file_sha256(folder / "file", stop.get_token()), "");
}

}  // namespace
}  // namespace flashblock
