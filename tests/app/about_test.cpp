// Commands that only print: help, completion, man, --version, doctor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/command_words.h"
#include "app/completion.h"
#include "app/doctor_command.h"
#include "app/help_topics.h"
#include "core/device.h"
#include "core/error.h"
#include "settings/settings_table.h"
#include "tests/support/error_text.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::Not;

std::string printed(std::vector<const char*> words) {
  words.insert(words.begin(), "flashblock");
  const Request request = parse_command_line(static_cast<int>(words.size()), words.data());
  return request.text.value_or("");
}

TEST(CommandWords, AreWhatTheTreeOffers) {
  CLI::App app("Does things.", "program");
  std::string name;
  int number = 3;
  bool flag = false;
  CLI::App& command = *app.add_subcommand("make", "Make one");
  app.add_subcommand("hidden", "")->group("");
  command.add_option("FILE.txt", name, "The file");
  command.add_option("-n,--number", number, "How many")->type_name("N")->check(CLI::Range(1, 9))->capture_default_str();
  command.add_option("--kind", name, "Which")->type_name("auto|cpu|cuda:N");
  command.add_flag("--fast", flag, "Quickly");
  const CommandWords words = command_words(app);
  ASSERT_EQ(words.commands.size(), 1u);
  const CommandWords& make = words.commands[0];
  EXPECT_EQ(make.name, "program make");
  EXPECT_EQ(make.word(), "make");
  ASSERT_EQ(make.options.size(), 5u);  // with --help
  const OptionWords &file = make.options[1], &count = make.options[2], &kind = make.options[3], &fast = make.options[4];
  EXPECT_TRUE(file.names.empty());
  EXPECT_EQ(file.value, "FILE.txt");
  EXPECT_TRUE(is_file_value(file.value));
  EXPECT_THAT(count.names, ElementsAre("-n", "--number"));
  EXPECT_EQ(count.value, "N");
  EXPECT_EQ(count.range, "from 1 to 9");
  EXPECT_EQ(count.default_value, "3");
  EXPECT_THAT(kind.choices, ElementsAre("auto", "cpu"));
  EXPECT_EQ(fast.value, "");
  EXPECT_FALSE(is_file_value("SECONDS=TEXT"));
}

TEST(Completion, QuotesWhatShellsWouldRead) {
  const CommandWords program{.name = "flashblock",
                             .commands = {{.name = "flashblock it",
                                           .help = "It's [a] (test): \\",
                                           .options = {{.names = {"--x"}, .value = "A:B", .help = "It's [x]: \\"}}}}};
  EXPECT_THAT(completion_script(program, "fish"), HasSubstr(R"(-a it -d 'It\'s [a] (test): \\')"));
  EXPECT_THAT(completion_script(program, "zsh"), HasSubstr(R"('*--x=[It'\''s \[x\]\: \\]:A\:B: ')"));
  EXPECT_THAT(completion_script(program, "bash"), HasSubstr("'flashblock it')"));
  EXPECT_THROW(completion_script(program, "tcsh"), ConfigError);
}

TEST(Completion, KnowsOptionsOfTheSettingsTable) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = printed({"completion", shell});
    EXPECT_THAT(script, HasSubstr("prompt-at"));
    EXPECT_THAT(script, HasSubstr("exact flashblock"));
    EXPECT_THAT(script, HasSubstr("recipe.sink_frames="));
    EXPECT_THAT(script, Not(HasSubstr("batch-worker")));
  }
}

TEST(ManualPage, HasEveryCommandAndKey) {
  const std::string page = printed({"man"});
  EXPECT_EQ(page.rfind(".TH FLASHBLOCK 1", 0), 0u);
  for (const char* wanted : {".SS flashblock render \\fIPROMPT\\fR", ".SS flashblock analyze fidelity",
                             "\\fB\\-\\-seed\\fR \\fIN\\fR", "FLASHBLOCK_MODELS", ".SH EXIT STATUS"}) {
    EXPECT_THAT(page, HasSubstr(wanted));
  }
  for (const Setting& setting : settings_table()) EXPECT_THAT(page, HasSubstr("\\fB" + setting.name + "\\fR"));
}

class Models : public ::testing::Test {
 protected:
  Models() { setenv("FLASHBLOCK_MODELS", testing::test_data("../../assets").c_str(), 1); }
  ~Models() override { unsetenv("FLASHBLOCK_MODELS"); }
};

TEST_F(Models, AreListedByHelpAndDoctor) {
  EXPECT_THAT(printed({"help", "models"}), HasSubstr("  demo\n"));
  const nlohmann::ordered_json found = examine_machine();
  ASSERT_FALSE(found.at("models").at("whole").empty());
  EXPECT_EQ(found.at("models").at("whole").at(0).at("name"), "demo");
  EXPECT_THAT(doctor_text(found), HasSubstr("model       demo, "));
}

TEST(Help, AnswersOnCommandsKeysAndTopics) {
  EXPECT_EQ(printed({"help"}), printed({"--help"}));
  EXPECT_EQ(printed({"help", "info"}), printed({"info", "--help"}));
  EXPECT_THAT(printed({"help", "analyze", "fidelity"}), HasSubstr("Usage: flashblock analyze fidelity [OPTIONS]"));
  EXPECT_THAT(printed({"help", "recipe.steps"}), HasSubstr("denoising passes"));
  EXPECT_THAT(printed({"help", "recipe"}), HasSubstr("recipe.window_frames"));
  EXPECT_THAT(printed({"help", "policies"}), HasSubstr("first_and_clean_pass"));
  EXPECT_THAT(printed({"help", "exit-status"}), HasSubstr("Model files"));
  EXPECT_THAT(error_text<ConfigError>([] { printed({"help", "modls"}); }), HasSubstr("did you mean models?"));
  EXPECT_THAT(error_text<ConfigError>([] { printed({"help", "recipe.stps"}); }), HasSubstr("recipe.steps?"));
  for (const std::string& word : help_words()) EXPECT_FALSE(help_on(word).empty()) << word;
}

TEST(Version, SaysWhatTheProgramWasBuiltWith) {
  const auto info = nlohmann::json::parse(printed({"--version", "--json"}));
  EXPECT_EQ("flashblock " + info.at("version").get<std::string>() + "\n", printed({"--version"}));
  for (const char* key : {"compiler", "build_type", "libtorch", "media"}) EXPECT_NE(info.at(key), "") << key;
  EXPECT_TRUE(info.contains("cuda"));
  EXPECT_THROW(printed({"--json"}), ConfigError);
  EXPECT_THROW(printed({"--json", "doctor"}), ConfigError);
}

TEST(Doctor, FindsThisMachine) {
  const nlohmann::ordered_json found = examine_machine();
  EXPECT_EQ(found.at("gpus").size(), static_cast<size_t>(gpu_count()));
  EXPECT_EQ(found.contains("no_gpu"), gpu_count() == 0);
  EXPECT_EQ(found.at("render").at("device"), resolve_device("auto").str());
  EXPECT_GT(found.at("memory").at("bytes"), found.at("memory").at("available_bytes"));
  EXPECT_THAT(found.at("libraries").at("libtorch").get<std::string>(), HasSubstr("libtorch"));
  const std::string text = doctor_text(found);
  EXPECT_THAT(text, HasSubstr("renders on"));
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 25) << "more than a screen";
}

TEST(Doctor, ShowsGpusAndProblems) {
  nlohmann::ordered_json found = examine_machine();
  found["gpus"] = {{{"device", "cuda:0"}, {"name", "GPU X (9.0)"}, {"memory_bytes", 80e9}, {"free_bytes", 79e9}}};
  found.erase("no_gpu");
  found["problems"] = {{{"status", 5}, {"text", "the disk is full"}}};
  EXPECT_THAT(doctor_text(found), HasSubstr("cuda:0, GPU X (9.0), 79.0 GB free of 80.0 GB"));
  EXPECT_THAT(doctor_text(found), HasSubstr("PROBLEM     the disk is full"));
  EXPECT_THAT(doctor_text(found), Not(HasSubstr("problems    none")));
}

}  // namespace
}  // namespace flashblock
