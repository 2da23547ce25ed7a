// Names under which nothing can be written, found out beforehand.
#include "core/output_path.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using testing::error_text;
using ::testing::HasSubstr;

class OutputPath : public ::testing::Test {
 protected:
  std::string refusal(const std::string& name) const {
    return error_text<ConfigError>([&] { check_output_name(folder_ / name); });
  }
  testing::TemporaryFolder folder_;
};

TEST_F(OutputPath, NamesAreCountedInBytesWithTheirUnfinishedName) {
  EXPECT_NO_THROW(check_output_name(folder_ / std::string(250, 'n')));
  EXPECT_THAT(refusal(std::string(251, 'n')), HasSubstr("is 1 byte too long: it has 256, and 255 are possible"));
  std::string letters;
  for (int i = 0; i < 126; ++i) letters += "\xc3\xa9";
  EXPECT_THAT(refusal(letters), HasSubstr("2 bytes too long"));
  EXPECT_THAT(refusal("folder of later/" + std::string(260, 'n')), HasSubstr("5 bytes too long"));
}

TEST_F(OutputPath, WhatIsNoFileIsInTheWay) {
  std::ofstream(folder_ / "file") << "mine";
  EXPECT_NO_THROW(check_output_name(folder_ / "file"));
  fs::create_directory(folder_ / "folder");
  fs::create_symlink(folder_ / "file", folder_ / "link");
  fs::create_symlink(folder_ / "gone", folder_ / "dangling");
  fs::create_symlink(folder_ / "file", folder_ / "x.mp4.part");
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refusal("folder"), HasSubstr("is a folder"));
  EXPECT_THAT(refusal("link"), HasSubstr("is a link to "));
  EXPECT_THAT(refusal("dangling"), HasSubstr("is a link to "));
  EXPECT_THAT(refusal("x.mp4"), HasSubstr("x.mp4.part is a link to ")) << "which writing would follow";
  EXPECT_THAT(refusal("pipe"), HasSubstr("is no file"));
}

TEST_F(OutputPath, FoldersAreTried) {
  EXPECT_NO_THROW(check_folder_is_writable(folder_.path()));
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  EXPECT_THAT(error_text<MediaError>([&] { check_folder_is_writable(folder_ / "gone"); }), HasSubstr("no such folder"));
  EXPECT_THROW(check_folder_is_writable("/proc"), MediaError) << "where permissions promise that it works";
}

TEST_F(OutputPath, RealPathFollowsLinks) {
  fs::create_directory(folder_ / "folder");
  fs::create_directory_symlink(folder_ / "folder", folder_ / "other");
  EXPECT_EQ(real_path(folder_ / "other/../other/new.mp4"), real_path(folder_ / "folder/new.mp4"));
}

}  // namespace
}  // namespace flashblock
