// Text from outside: what is taken, what is refused, and what the refusal says.
#include "core/plain_text.h"

#include <gmock/gmock.h>

#include <fstream>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using ::testing::AllOf;
using testing::error_text;
using ::testing::HasSubstr;

std::string bytes(const char* text, size_t size) { return {text, size}; }

/// `text`, of ASCII letters, in UTF-16 or UTF-32.
std::string wide(const std::string& text, size_t width, bool big_endian) {
  std::string result;
  for (const char c : text) {
    std::string unit(width, '\0');
    unit[big_endian ? width - 1 : 0] = c;
    result += unit;
  }
  return result;
}

TEST(PlainText, IsUtf8WithTabsAndLineEnds) {
  for (const char* text : {"", "a red hill", "caf\xc3\xa9", "\xe9\xbb\x84\t\xf0\x9f\x8e\x88\r\n",
                           "\xef\xbb\xbf"
                           "a",
                           "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "\xc2\x85"})
    EXPECT_EQ(text_fault(text), "") << text;
}

TEST(PlainText, NamesTheByteAndItsLine) {
  EXPECT_EQ(text_fault("caf\xe9"), "is not UTF-8: it has the byte E9, as in Latin-1 and Windows-1252");
  EXPECT_THAT(text_fault("a\nb\xff\nc"), HasSubstr("line 2 has the byte FF"));
  for (const char* text :
       {"\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "a\xc3", "\x80"})
    EXPECT_THAT(text_fault(text), HasSubstr("is not UTF-8")) << "overlong, surrogate, too large, cut short";
  EXPECT_EQ(text_fault("a\x1b[31m"), "is no text: it has the control character 1B");
  EXPECT_THAT(text_fault("a\rb"), HasSubstr("control character 0D")) << "a line end is LF or CR LF";
  EXPECT_THAT(text_fault(bytes("a\0b", 3)), HasSubstr("control character 00"));
  EXPECT_THAT(text_fault("a\nb\x7f\n"), HasSubstr("line 2 has the control character 7F"));
}

TEST(PlainText, NamesOtherEncodingsOfUnicode) {
  EXPECT_EQ(text_fault("\xff\xfe" + wide("a boat", 2, false)), "is UTF-16, wanted UTF-8");
  EXPECT_EQ(text_fault("\xfe\xff" + wide("a boat", 2, true)), "is UTF-16, wanted UTF-8");
  EXPECT_EQ(text_fault(wide("a boat", 2, false)), "is UTF-16LE, wanted UTF-8") << "without a byte order mark";
  EXPECT_EQ(text_fault(wide("a boat", 2, true)), "is UTF-16BE, wanted UTF-8");
  EXPECT_EQ(text_fault(bytes("\xff\xfe\0\0", 4) + wide("a", 4, false)), "is UTF-32, wanted UTF-8");
}

TEST(PlainText, OfAFileIsWithoutItsByteOrderMark) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "a.txt") << "\xef\xbb\xbf"
                                     "a boat\n";
  EXPECT_EQ(read_text_file(folder / "a.txt", "a prompt"), "a boat\n");
  std::ofstream(folder / "b.txt") << "\xff\xfe" << wide("a boat", 2, false);
  EXPECT_THAT(
      error_text<ConfigError>([&] { read_text_file(folder / "b.txt", "a prompt"); }),
      AllOf(HasSubstr("b.txt is UTF-16, wanted UTF-8; save it as UTF-8"), HasSubstr("iconv -f UTF-16 -t UTF-8")));
  std::ofstream(folder / "c.txt") << "a\ncaf\xe9";
  EXPECT_THAT(error_text<ConfigError>([&] { read_text_file(folder / "c.txt", "a prompt"); }),
              AllOf(HasSubstr("line 2 has the byte E9"), HasSubstr("iconv -f WINDOWS-1252")));
  EXPECT_THAT(error_text<ConfigError>([&] { read_text_file(folder / "gone.txt", "a prompt"); }),
              HasSubstr("gone.txt: cannot be read; wanted a prompt"));
  std::filesystem::create_symlink("circle.txt", folder / "circle.txt");
  EXPECT_THAT(error_text<ConfigError>([&] { read_text_file(folder / "circle.txt", "a prompt"); }),
              HasSubstr("circle.txt: cannot be read; wanted a prompt"));
}

TEST(PlainText, InMessagesIsOneLineOfUtf8) {
  EXPECT_EQ(on_one_line("a\nb\x1b[2J\xff"
                        "caf\xc3\xa9"),
            "a b [2J\xef\xbf\xbd"
            "caf\xc3\xa9");
  EXPECT_EQ(text_beginning("caf\xc3\xa9s", 4), "caf") << "no character is cut";
  EXPECT_EQ(text_beginning("caf\xc3\xa9s", 5), "caf\xc3\xa9");
}

}  // namespace
}  // namespace flashblock
