// Errors as clients see them.
#include "server/api_error.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace flashblock {
namespace {

using Json = nlohmann::json;

TEST(ApiError, BodyHasTheFormatOfOpenAIsErrors) {
  const Json whole = Json::parse(error_body({400, "invalid_value", "size: wanted a size", "size"}));
  EXPECT_EQ(whole, Json({{"error",
                          {{"message", "size: wanted a size"},
                           {"type", "invalid_request_error"},
                           {"param", "size"},
                           {"code", "invalid_value"}}}}));
  const Json error = Json::parse(error_body({503, "too_many_connections", "try again later"})).at("error");
  EXPECT_EQ(error.at("type"), "server_error");
  EXPECT_EQ(error.at("param"), nullptr);
}

TEST(ApiError, BodyIsJsonWhateverTheMessageContains) {
  const std::string message = std::string("a \"quoted\" \xff byte and a null\0", 30);
  const Json body = Json::parse(error_body({400, "bad", message, "key\n"}));
  EXPECT_EQ(body.at("error").at("message").get<std::string>().find("a \"quoted\" "), 0u);
  EXPECT_EQ(body.at("error").at("param"), "key\n");
}

TEST(ApiError, ResponseHasStatusTypeAndBody) {
  const HttpResponse response = error_response({404, "not_found", "there is nothing at this address"});
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers, HttpFields({{"Content-Type", "application/json"}}));
  EXPECT_EQ(response.body, error_body({404, "not_found", "there is nothing at this address"}));
  EXPECT_STREQ(ApiError({429, "queue_full", "later"}).what(), "later");
}

TEST(ClientText, NamesNeitherPathsNorOptions) {
  EXPECT_EQ(client_text("size 50x33: wanted multiples of 16", "no"), "size 50x33: wanted multiples of 16");
  for (const char* internal : {"/srv/models/demo.yaml: cannot be read", "models/demo.yaml is missing", "give --seconds",
                               "--image: not found", "C:\\models is missing", "cannot open 'video.parts/index'"}) {
    EXPECT_EQ(client_text(internal, "the server cannot render this"), "the server cannot render this") << internal;
  }
}

}  // namespace
}  // namespace flashblock
