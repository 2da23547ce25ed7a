// No message says the same key or option twice in a row: `--seconds: seconds: found ...`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "app/config_options.h"
#include "core/error.h"
#include "settings/config_file.h"
#include "settings/settings_table.h"
#include "settings/text_settings.h"

namespace flashblock {
namespace {

/// A part of a message that may name something: "--prompt-at", "timeline[0].at", "the attention mode 'x' is unknown" as
/// the last word of the key or option that it is, or begins with.
std::string name_in(std::string part) {
  part = std::regex_replace(part, std::regex(R"(\[\d+\])"), "");
  part.erase(std::min(part.find_first_of(" '"), part.size()));
  part.erase(0, std::min(part.find_last_of(".-") + 1, part.size()));
  return part;
}

/// The name that a message says twice in a row, or the place that it says twice; empty: it says none so.
std::string repeated_name(const std::string& message) {
  std::string last;
  std::set<std::string> places;
  for (size_t begin = 0; begin < message.size();) {
    const size_t end = std::min(message.find(": ", begin), message.size());
    const std::string part = message.substr(begin, end - begin), name = name_in(part);
    if (!name.empty() && name == last) return name;
    if (part.find(' ') == part.npos && !places.insert(part).second) return part;
    last = name;
    begin = end + 2;
  }
  return "";
}

TEST(RepeatedName, IsFound) {
  EXPECT_EQ(repeated_name("--seconds: seconds: found \"x\""), "seconds");
  EXPECT_EQ(repeated_name("--set: attention.residual: attention.residual: 'x' is unknown"), "residual");
  EXPECT_EQ(repeated_name("f.yaml:1: attention.mode: mode 'x' is unknown"), "mode");
  EXPECT_EQ(repeated_name("--prompt-at: timeline[0].at: found \"x\""), "at");
  EXPECT_EQ(repeated_name("--set: recipe.steps: --set: recipe.steps: found a list"), "--set");
  EXPECT_EQ(repeated_name("--set: recipe.steps: found \"x\", wanted a list"), "");
}

/// What reading says of a wrong value; empty: nothing is wrong with it.
template <typename Read>
std::string refusal(Read read) {
  try {
    read();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Values that are wrong for most keys, one way or another.
const std::vector<std::string> kWrong = {"-7",       "1e18", "nonsense", "[1, nonsense]", "{a: 1}",
                                         "[{a: 1}]", "",     "~",        "[-1]"};

TEST(RepeatedName, IsInNoMessageOfASetting) {
  size_t refused = 0;
  const auto check = [&](const ConfigLayer& layer) {
    RenderConfig config;
    const std::string message = refusal([&] { read_settings(layer, config); });
    EXPECT_EQ(repeated_name(message), "") << message;
    if (!message.empty()) ++refused;
    return message;
  };
  for (const Setting& setting : settings_table()) {
    SCOPED_TRACE(setting.name);
    const size_t before = refused;
    for (const std::string& wrong : kWrong) {
      const std::string in_set = check(yaml_layer("--set", setting.name, wrong));
      EXPECT_TRUE(in_set.empty() || in_set.find(split_key(setting.name).second) != in_set.npos) << in_set;
      for (const std::string& names : setting.option.names) {
        const std::string option = names.substr(names.rfind(',') + 1);
        const std::string message = check(make_config_layer(option, setting.name, YAML::Node(wrong)));
        EXPECT_TRUE(message.empty() || message.starts_with(option + ": ")) << message;
      }
      const ConfigLayer row = make_config_layer("list.csv:3", setting.name, YAML::Node(wrong));
      check(row);
      check({.values = parse_yaml(YAML::Dump(row.values.node()), "video.yaml"), .folder = "/"});
      check(make_config_layer("the job", setting.name, nlohmann::ordered_json(wrong)));
    }
    EXPECT_GT(refused, before);
  }
}

TEST(RepeatedName, IsInNoMessageOfATextSetting) {
  for (const TextSetting& setting : text_settings()) {
    for (const std::string& wrong : kWrong) {
      for (const std::string& option : {std::string("--set"), setting.option}) {
        if (option.empty()) continue;
        TextConfig config;
        const std::string message = refusal([&] { read_text_setting(option, setting.name, wrong, config); });
        EXPECT_EQ(repeated_name(message), "") << message;
      }
    }
  }
}

TEST(RepeatedName, IsInNoMessageOfAnOption) {
  const std::vector<std::vector<std::string>> commands = {
      {"render"}, {"serve"}, {"batch"}, {"analyze", "fidelity"}, {"analyze", "redundancy"}, {"bench"},
      {"text"},   {"info"},  {"doctor"}};
  const std::regex option(R"(--[a-z][a-z-]+)");
  for (const std::vector<std::string>& command : commands) {
    const auto parse = [&](const std::vector<std::string>& options) {
      std::vector<const char*> words = {"flashblock"};
      for (const std::string& word : command) words.push_back(word.c_str());
      for (const std::string& word : options) words.push_back(word.c_str());
      return parse_command_line(static_cast<int>(words.size()), words.data());
    };
    const std::string help = *parse({"--help"}).text;
    size_t refused = 0;
    for (std::sregex_iterator at(help.begin(), help.end(), option), end; at != end; ++at) {
      for (const std::string& wrong : kWrong) {
        const std::string message = refusal([&] { parse({at->str() + "=" + wrong}); });
        EXPECT_EQ(repeated_name(message), "") << message;
        if (!message.empty()) ++refused;
      }
    }
    EXPECT_GT(refused, 0u) << command.back();
  }
}

}  // namespace
}  // namespace flashblock
