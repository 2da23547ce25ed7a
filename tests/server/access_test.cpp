// The server's address and token, and that no public address is open by accident.
#include "server/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "core/error.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;

TEST(ServerAddress, IsLoopbackUnlessAskedOtherwise) {
  const auto parsed = [](const std::string& text) {
    const ServerAddress address = parse_server_address("--preview", text);
    return address.address + " " + std::to_string(address.port);
  };
  EXPECT_EQ(parsed(""), "127.0.0.1 8080");
  EXPECT_EQ(parsed("9000"), "127.0.0.1 9000");
  EXPECT_EQ(parsed("0.0.0.0"), "0.0.0.0 8080");
  EXPECT_EQ(parsed("10.0.0.7:80"), "10.0.0.7 80");
  EXPECT_EQ(parsed("[::1]:81"), "::1 81");
  EXPECT_EQ(parsed("[::]"), ":: 8080");
  for (const char* wrong : {"localhost:", ":80", "localhost:http", "localhost:70000", "70000:70000", "[::1]:-1"}) {
    EXPECT_THROW(parse_server_address("--preview", wrong), ConfigError) << wrong;
  }
}

TEST(Access, PublicAddressRequiresATokenOrAnExplicitException) {
  for (const char* own : {"127.0.0.1", "127.3.2.1", "localhost", "::1"}) EXPECT_NO_THROW(check_access(own, {})) << own;
  for (const char* open : {"0.0.0.0", "::", "192.168.1.7", "videos.example", "127.0.0.1.example", "1270.0.0.1"}) {
    EXPECT_THROW(check_access(open, {}), ConfigError) << open;
    EXPECT_NO_THROW(check_access(open, {.token = "a-token-of-some-length"})) << open;
    EXPECT_NO_THROW(check_access(open, {.without_token = true})) << open;
  }
}

TEST(Access, OriginsAreExact) {
  EXPECT_EQ(parse_origin("https://studio.example"), "https://studio.example");
  EXPECT_EQ(parse_origin("HTTP://LocalHost:3000"), "http://localhost:3000");
  EXPECT_EQ(parse_origin("https://studio.example:443"), "https://studio.example") << "as browsers send it";
  EXPECT_EQ(parse_origin("http://[::1]:8000"), "http://[::1]:8000");
  for (const char* wrong :
       {"*", "null", "", "studio.example", "https://", "https://studio.example/", "https://studio.example/a", "ftp://a",
        "https://a b", "https://*.example", "https://u@a", "http://a:port", "http://a:99999"}) {
    EXPECT_THROW(parse_origin(wrong), ConfigError) << wrong;
  }
}

TEST(Access, TokenFromAnySourceHasAMinimumLength) {
  const TemporaryFolder folder;
  ::unsetenv("FLASHBLOCK_TOKEN");
  EXPECT_EQ(resolve_token("", ""), "");
  EXPECT_EQ(resolve_token("a-token-of-some-length", ""), "a-token-of-some-length");
  EXPECT_EQ(resolve_token("auto", "").size(), 40u);
  EXPECT_NE(resolve_token("auto", ""), resolve_token("auto", ""));
  EXPECT_THROW(resolve_token("short", ""), ConfigError);

  const std::string file = folder / "token";
  EXPECT_THROW(resolve_token("", file), ConfigError) << "it does not exist";
  std::ofstream(file) << "\n";
  EXPECT_THROW(resolve_token("", file), ConfigError) << "it is empty";
  std::ofstream(file) << "from-a-file-0123456789\n";
  EXPECT_EQ(resolve_token("", file), "from-a-file-0123456789");

  ::setenv("FLASHBLOCK_TOKEN", "from-the-environment", 1);
  EXPECT_EQ(resolve_token("", ""), "from-the-environment");
  EXPECT_EQ(resolve_token("", file), "from-a-file-0123456789") << "the command line wins";
  ::setenv("FLASHBLOCK_TOKEN", "short", 1);
  EXPECT_THROW(resolve_token("", ""), ConfigError);
  ::unsetenv("FLASHBLOCK_TOKEN");
}

}  // namespace
}  // namespace flashblock
