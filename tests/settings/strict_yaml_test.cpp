#include "settings/strict_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <fstream>

#include "core/error.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using ::testing::HasSubstr;

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "no error";
}

YamlValue parse(const std::string& text) { return parse_yaml(text, "video.yaml"); }

/// The value of key `a` of a one-line mapping.
YamlValue value_of(const std::string& text) {
  YamlMap map(parse("a: " + text));
  return map.require("a");
}

TEST(StrictYaml, ReadsEveryType) {
  EXPECT_EQ(value_of("some words").text(), "some words");
  EXPECT_EQ(value_of("12").text(), "12");
  EXPECT_TRUE(value_of("true").boolean());
  EXPECT_FALSE(value_of("False").boolean());
  EXPECT_EQ(value_of("-3").integer(), -3);
  EXPECT_DOUBLE_EQ(value_of("1e-3").number(), 0.001);
  EXPECT_DOUBLE_EQ(value_of("7").number(0, 7), 7);
  EXPECT_DOUBLE_EQ(value_of("0.5").positive_number(), 0.5);
  const auto list = value_of("[4, 5]").list();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[1].integer(), 5);
  EXPECT_EQ(list[1].place().key, "a[1]");
}

TEST(StrictYaml, NamesWhatWasFoundAndWanted) {
  EXPECT_EQ(error_of([] { value_of("[1]").text(); }), "video.yaml:1: a: found a list, wanted text");
  EXPECT_EQ(error_of([] { value_of("yes").boolean(); }), "video.yaml:1: a: found \"yes\", wanted true or false");
  EXPECT_EQ(error_of([] { value_of("3.5").integer(); }), "video.yaml:1: a: found \"3.5\", wanted a whole number");
  EXPECT_EQ(error_of([] { value_of("9").integer(1, 8); }),
            "video.yaml:1: a: found \"9\", wanted a whole number from 1 to 8");
  EXPECT_EQ(error_of([] { value_of("0").integer(1); }),
            "video.yaml:1: a: found \"0\", wanted a whole number, 1 or more");
  EXPECT_EQ(error_of([] { value_of("{b: 1}").number(); }), "video.yaml:1: a: found a mapping, wanted a number");
  EXPECT_EQ(error_of([] { value_of("0").positive_number(); }), "video.yaml:1: a: found \"0\", wanted a number above 0");
  EXPECT_EQ(error_of([] { value_of("x").list(); }), "video.yaml:1: a: found \"x\", wanted a list");
  for (const char* text : {"nan", ".inf", "1e999", "12 apples", "0x10", ""})
    EXPECT_THAT(error_of([&] { value_of(text).number(); }), HasSubstr("wanted a number")) << text;
  EXPECT_THAT(error_of([] { value_of("99999999999999999999").integer(); }), HasSubstr("wanted a whole number"));
}

TEST(StrictYaml, CutsLongValuesAndKeepsMessagesOnOneLine) {
  const std::string message = error_of([] { value_of("\"" + std::string(500, 'x') + "\"").integer(); });
  EXPECT_LT(message.size(), 150U);
  error_of([] { value_of("\"two\\nlines\"").integer(); });
}

TEST(StrictYaml, UnknownKeysNameTheNearest) {
  YamlMap map(parse("recipe:\n  steps: [1]\n  sink_frame: 3\n"));
  YamlMap recipe(map.require("recipe"));
  map.finish();
  recipe.find("steps");
  recipe.find("sink_frames");
  EXPECT_EQ(error_of([&] { recipe.finish(); }),
            "video.yaml:3: recipe.sink_frame: unknown key, did you mean sink_frames?");
}

TEST(StrictYaml, UnknownKeysOfAnOptionGetTheWholeKey) {
  YamlMap recipe(YamlValue(YAML::Load("{stepz: 1}"), {"--set", "recipe"}));
  recipe.find("steps");
  EXPECT_EQ(error_of([&] { recipe.finish(); }), "--set: recipe.stepz: unknown key, did you mean recipe.steps?");
}

TEST(StrictYaml, UnknownKeysListTheKnownIfNoneIsNear) {
  YamlMap map(parse("colour: red\n"));
  map.find("size");
  map.find("fps");
  EXPECT_EQ(error_of([&] { map.finish(); }), "video.yaml:1: colour: unknown key, wanted one of size, fps");
}

TEST(StrictYaml, RefusesWhatYamlCppLetsThrough) {
  EXPECT_EQ(error_of([] { YamlMap(parse("fps: 16\nsize: 8x8\nfps: 24\n")); }),
            "video.yaml:3: fps: given twice; keep one");
  EXPECT_THAT(error_of([] { YamlMap(parse("base: &b {fps: 1}\n<<: *b\n")); }), HasSubstr("video.yaml:2: merge keys"));
  EXPECT_THAT(error_of([] { YamlMap(parse("? [a, b]\n: 1\n")); }), HasSubstr("a key must be a word, found a list"));
  EXPECT_THAT(error_of([] { parse("fps: 16\n---\nfps: 24\n"); }), HasSubstr("a second document begins here"));
  EXPECT_THAT(error_of([] { YamlMap(parse("- 1\n- 2\n")); }), HasSubstr("found a list, wanted a mapping"));
}

TEST(StrictYaml, ReportsSyntaxWithItsLine) {
  EXPECT_THAT(error_of([] { parse("fps: 16\nsize: [1, 2\n"); }), HasSubstr("video.yaml:"));
  EXPECT_THAT(error_of([] { parse("a: b: c\n"); }), HasSubstr("video.yaml:1: not YAML: "));
  EXPECT_THAT(error_of([] { parse(std::string(20000, '[')); }), HasSubstr("not YAML"));
}

TEST(StrictYaml, MissingKeysAreNamed) {
  EXPECT_EQ(error_of([] { YamlMap(parse("fps: 16\n")).require("size"); }), "video.yaml:1: the key size is missing");
}

TEST(StrictYaml, EmptyDocumentsAreEmptyMappings) {
  YamlMap map(parse("# nothing but a comment\n"));
  EXPECT_EQ(map.find("fps"), nullptr);
  map.finish();
}

TEST(StrictYaml, OptionsHaveNoLines) {
  YAML::Node node(YAML::NodeType::Map);
  node["steps"] = "many";
  YamlMap map(YamlValue(node, {.file = "--set", .key = "recipe"}));
  EXPECT_EQ(error_of([&] { map.require("steps").list(); }), "--set: recipe.steps: found \"many\", wanted a list");
}

TEST(StrictYaml, FilesThatCannotBeReadAreNamed) {
  const testing::TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { load_yaml(folder / "missing.yaml"); }), HasSubstr("missing.yaml: cannot be read"));
  EXPECT_THAT(error_of([&] { load_yaml(folder.path()); }), HasSubstr("cannot be read"));
  std::ofstream(folder / "video.yaml") << "fps: 24\n";
  YamlMap map(load_yaml(folder / "video.yaml"));
  EXPECT_EQ(map.require("fps").integer(), 24);
}

TEST(NearestWord, FindsSlipsAndNothingElse) {
  const std::vector<std::string> words = {"steps", "sink_frames", "window_frames"};
  EXPECT_EQ(nearest_word("step", words), "steps");
  EXPECT_EQ(nearest_word("SINK_FRAMES", words), "sink_frames");
  EXPECT_EQ(nearest_word("window_size", words), "");
  EXPECT_EQ(nearest_word("colour", words), "");
}

}  // namespace
}  // namespace flashblock
