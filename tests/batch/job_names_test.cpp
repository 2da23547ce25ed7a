// Names of videos and of their files.
#include "batch/job_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "core/error.h"
#include "tests/support/error_text.h"

namespace flashblock {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

YamlValue at_line(const std::string& text) { return {YAML::Node(text), {"jobs.yaml:4", "output"}}; }

std::string expanded(const std::string& pattern, const VideoName& name) {
  return expand_template(at_line(pattern), name, name.seed.empty() ? "42" : name.seed);
}

TEST(JobNames, AreMadeOfJobRowAndSeed) {
  EXPECT_EQ((VideoName{"storm", "", ""}.whole()), "storm");
  EXPECT_EQ((VideoName{"storm", "07", ""}.whole()), "storm-07");
  EXPECT_EQ((VideoName{"storm", "", "3"}.whole()), "storm-3");
  EXPECT_EQ((VideoName{"storm", "07", "3"}.whole()), "storm-07-3");
}

TEST(JobNames, TemplatesReplacePlaceholders) {
  const VideoName name{"storm", "07", "3"};
  EXPECT_EQ(expanded("out/{name}.mp4", name), "out/storm-07-3.mp4");
  EXPECT_EQ(expanded("{name}/{seed}.mp4", name), "storm-07/3.mp4") << "{name} leaves out what stands elsewhere";
  EXPECT_EQ(expanded("{name}/{row}.mp4", name), "storm-3/07.mp4");
  EXPECT_EQ(expanded("{job}/{row}/{seed}/{name}.mp4", name), "storm/07/3/storm.mp4");
  EXPECT_EQ(expanded("plain.mp4", name), "plain.mp4");
  EXPECT_EQ(expanded("{name}-{seed}.mp4", {"storm", "", ""}), "storm-42.mp4") << "the seed of a job with one seed";
}

TEST(JobNames, UnknownPlaceholdersAreErrors) {
  const auto error = [](const std::string& pattern, const VideoName& name) {
    return error_text<ConfigError>([&] { expanded(pattern, name); });
  };
  EXPECT_THAT(error("{nmae}.mp4", {"a", "", ""}), HasSubstr("jobs.yaml:4: output: found {nmae}"));
  EXPECT_THAT(error("{name", {"a", "", ""}), HasSubstr("found {name"));
  EXPECT_THAT(error("{row}.mp4", {"a", "", ""}), HasSubstr("found {row}")) << "the job has no prompt list";
}

TEST(JobNames, MustBePartsOfFileNames) {
  for (const char* good : {"a", "größe", "a b", "a.b", "-"}) EXPECT_NO_THROW(check_name(good, at_line(good))) << good;
  for (const std::string& bad : {std::string(), std::string("a/b"), std::string("a\\b"), std::string(".a"),
                                 std::string("{a}"), std::string("a\nb"), std::string(121, 'a')}) {
    EXPECT_THAT(error_text<ConfigError>([&] { check_name(bad, at_line(bad)); }), HasSubstr("wanted a name")) << bad;
  }
  EXPECT_NO_THROW(check_name(std::string(120, 'a'), at_line("")));
}

TEST(JobNames, SeedsFollowFromNames) {
  EXPECT_EQ(seed_from_name(""), 2166136261U);
  EXPECT_EQ(seed_from_name("a"), 0xe40c292cU) << "FNV-1a's published value";
  EXPECT_EQ(seed_from_name("foobar"), 0xbf9cf968U) << "FNV-1a's published value";
}

}  // namespace
}  // namespace flashblock
