// What belongs to the user, text that is none, and what can be known before a render, through the whole program.
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/end_to_end/program_run.h"
#include "tests/support/temporary_folder.h"
#include "weights/tensor_file.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

class UserFiles : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_prompted_model(*shared_ / "model");
  }
  static void TearDownTestSuite() { delete shared_; }

  fs::path model() const { return *shared_ / "model"; }
  Words command(Words words, const std::string& frames = "9") const {
    words.insert(words.begin(), "render");
    for (const std::string& word :
         Words{"--model", model(), "--frames", frames, "--device", "cpu", "--dtype", "float32", "--seed", "7"})
      words.push_back(word);
    return words;
  }
  ProgramRun render(const Words& words, const std::string& frames = "9") const {
    return run_program(command(words, frames));
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::string text(const std::string& name) const { return read_text(folder_ / name); }
  int64_t files() const { return std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()); }
  /// The command is refused with this status, says `what`, and leaves nothing behind.
  void expect_refusal(const ProgramRun& run, int status, const std::string& what, int64_t files_before) const {
    EXPECT_EQ(run.status, status) << run.err;
    EXPECT_THAT(run.err, AllOf(HasSubstr("flashblock: error: "), HasSubstr(what)));
    EXPECT_EQ(files(), files_before) << what;
  }

  static TemporaryFolder* shared_;
  TemporaryFolder folder_;
};

TemporaryFolder* UserFiles::shared_ = nullptr;

/// `text` in UTF-16 with a byte order mark, as PowerShell 5 and Notepad ("Unicode") write it.
std::string utf16(const std::string& text) {
  std::string result = "\xff\xfe";
  for (const char c : text) result += {c, '\0'};
  return result;
}

TEST_F(UserFiles, AConfigurationOfTheVideosNameIsKept) {
  const std::string mine = "{\"prompt\": \"my shot\", \"output\": \"shot1.mp4\"}\n";
  write("shot1.json", mine);
  for (const Words& more : {Words{}, Words{"--overwrite"}, Words{"--dry-run"}, Words{"--resume"}}) {
    Words words = {"--config", folder_ / "shot1.json"};
    words.insert(words.end(), more.begin(), more.end());
    expect_refusal(render(words), 2, "shot1.json would be written, and the video is made from it (settings)", 1);
  }
  expect_refusal(render({"a hill", "-o", folder_ / "shot1.mp4"}), 2, "shot1.json exists", 1);
  expect_refusal(render({"a hill", "-o", folder_ / "shot1.mp4", "--overwrite"}), 2, "was not written by flashblock", 1);
  EXPECT_EQ(text("shot1.json"), mine);
  EXPECT_EQ(render({"a hill", "-o", folder_ / "shot2.mp4"}).status, 0);
  EXPECT_EQ(render({"a lake", "-o", folder_ / "shot2.mp4", "--overwrite"}).status, 0) << "our own";
}

TEST_F(UserFiles, NamesThatAreTooLongAreRefusedBeforeRendering) {
  for (const int letters : {245, 247, 249})
    expect_refusal(render({"a hill", "-o", folder_ / (std::string(letters, 'n') + ".mp4")}), 2, "too long", 0);
}

TEST_F(UserFiles, WhatIsNotTextIsRefusedWhereItEnters) {
  const std::string latin1 = "caf\xe9";
  expect_refusal(render({latin1, "-o", folder_ / "r.mp4", "--record", folder_ / "r.safetensors"}), 2,
                 "is not UTF-8: it has the byte E9", 0);
  expect_refusal(render({"a hill", "--prompt-at", "0.3=a\x1b[31m", "-o", folder_ / "r.mp4"}), 2, "--prompt-at", 0);
  write("prompt.txt", utf16("a boat\r\n"));
  write("escape.yaml", "prompt: \"a\\0b\"\n");
  write("wide.yaml", utf16("prompt: a boat\n"));
  expect_refusal(render({"--prompt-file", folder_ / "prompt.txt", "-o", folder_ / "r.mp4"}), 2,
                 "prompt.txt is UTF-16, wanted UTF-8; save it as UTF-8", 3);
  expect_refusal(render({"--config", folder_ / "escape.yaml", "-o", folder_ / "r.mp4"}), 2,
                 "prompt: the text is no text: it has the control character 00", 3);
  expect_refusal(render({"--config", folder_ / "wide.yaml", "-o", folder_ / "r.mp4"}), 2, "wide.yaml is UTF-16", 3);
  write("prompt.txt",
        "\xef\xbb\xbf"
        "a boat\r\n");
  ASSERT_EQ(render({"--prompt-file", folder_ / "prompt.txt", "-o", folder_ / "r.mp4"}).status, 0);
  EXPECT_EQ(read_json(folder_ / "r.json")["configuration"]["prompt"], "a boat") << "a byte order mark is taken off";
}

TEST_F(UserFiles, AListInUtf16IsRefusedByItsDryRunToo) {
  write("prompts.txt", utf16("a boat\r\na cat\r\n"));
  write("jobs.yaml", "jobs:\n  - {name: u, prompts: prompts.txt, seconds: 1, model: " + model().string() + "}\n");
  for (const Words& more : {Words{"--dry-run"}, Words{"--progress", "none"}}) {
    Words words = {"batch", folder_ / "jobs.yaml"};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramRun run = run_program(words);
    EXPECT_EQ(run.status, 2);
    EXPECT_THAT(run.err, HasSubstr("prompts.txt is UTF-16, wanted UTF-8"));
  }
  EXPECT_FALSE(fs::exists(folder_ / "videos"));
}

TEST_F(UserFiles, WhatTheTextEncoderCutsOffIsTold) {
  std::string prompt;
  for (int i = 0; i < 8; ++i) prompt += "a red balloon drifts over snowy hills ";
  const Words words = {prompt + "then a castle",  "--prompt-at", "1=" + prompt + "at night",         "--set",
                       "recipe.guidance_scale=2", "--set",       "recipe.negative_prompt=" + prompt, "-o",
                       folder_ / "t.mp4"};
  const ProgramRun run = render(words, "21");
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, AllOf(HasSubstr("warning: prompt: the text has "), HasSubstr("the text encoder takes 15"),
                             HasSubstr("warning: timeline at 1 s: "), HasSubstr("warning: negative_prompt: ")));
  const auto told = read_json(folder_ / "t.json").at("truncated_prompts");
  ASSERT_EQ(told.size(), 3u) << told;
  EXPECT_EQ(told[0]["key"], "prompt");
  EXPECT_GT(told[0]["tokens"], 60);
  EXPECT_EQ(told[0]["used"], 15);
  EXPECT_THAT(told[0]["unseen"].get<std::string>(), HasSubstr("red balloon"));
  EXPECT_EQ(told[1]["at"], 1);
  Words dry = words;
  dry.back() = folder_ / "other.mp4";
  dry.push_back("--dry-run");
  EXPECT_THAT(render(dry, "21").err, HasSubstr("the text encoder takes 15"));
  ASSERT_EQ(render({"a hill", "-o", folder_ / "s.mp4"}).status, 0);
  EXPECT_TRUE(read_json(folder_ / "s.json").at("truncated_prompts").empty());
}

TEST_F(UserFiles, MisfitsOfARecordingAreFoundByTheDryRun) {
  write_tensor_file(folder_ / "r.safetensors",
                    {{"noise", at::ones({1, 3, 16, 4, 6})}, {"prompt_embeds", at::ones({1, 16, 99})}});
  for (const char* dry : {"--dry-run", "--quiet"}) {
    const ProgramRun run = run_program({"render", "--model", model(), "--replay", folder_ / "r.safetensors", "-o",
                                        folder_ / "v.mp4", "--device", "cpu", dry});
    expect_refusal(run, 2, "prompt_embeds has shape [1, 16, 99], wanted [1, 16, 64]", 1);
  }
}

TEST_F(UserFiles, AbsurdNumbersAreRefusedWithTheirKey) {
  for (const Words& words : {Words{"--set", "seconds=1e18"}, Words{"--prompt-at", "1e18=night"},
                             Words{"--set", "recipe.window_frames=9000000000000000000"},
                             Words{"--set", "recipe.sink_frames=9000000000000000000"}}) {
    Words all = {"render", "a hill", "--model", model(), "-o", folder_ / "v.mp4", "--dry-run"};
    all.insert(all.end(), words.begin(), words.end());
    const std::string key = words.back().substr(0, words.back().find('='));
    expect_refusal(run_program(all), 2, key == "1e18" ? "--prompt-at" : key, 0);
  }
}

// A disk that is full behind standard output, for every command that prints.
TEST_F(UserFiles, WhatCannotBePrintedIsAnError) {
  for (const Words& words :
       {Words{"--help"}, Words{"--version"}, Words{"--version", "--json"}, Words{"help", "keys"}, Words{"man"},
        Words{"completion", "bash"}, Words{"info", model(), "--json"}, Words{"info", model()},
        Words{"doctor", "--json"}, command({"a hill", "--dry-run", "-o", folder_ / "q.mp4"}),
        command({"a hill", "-o", folder_ / "q.mp4"})}) {
    StartedProgram program(words, folder_ / "errors", "/dev/full");
    EXPECT_EQ(program.wait(), 5) << words.front() << " " << words.back();
    EXPECT_THAT(text("errors"),
                HasSubstr("flashblock: error: cannot write to standard output: No space left on device"));
  }
  EXPECT_TRUE(fs::exists(folder_ / "q.mp4")) << "the video is there all the same";
}

TEST_F(UserFiles, AClosedStandardOutputIsNotTakenForAnotherFile) {
  const char* other = std::getenv("FLASHBLOCK_PROGRAM");
  const ProgramRun run =
      run_command(std::string(other ? other : FLASHBLOCK_PROGRAM) + " info " + model().string() + " >&-");
  EXPECT_EQ(run.status, 5);
  EXPECT_THAT(run.err, HasSubstr("cannot write to standard output"));
}

TEST_F(UserFiles, ReportsOfTheBenchmarkAreCheckedBeforeItRuns) {
  write("times.html", "mine");
  const auto bench = [&](const Words& more) {
    Words words = {"bench",     "--geometry", "width=128,layers=1,heads=2,ffn=128",
                   "--device",  "cpu",        "--no-video",
                   "--no-text", "--rounds",   "1",
                   "--size",    "64x64",      "--frames",
                   "9"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  };
  expect_refusal(bench({"--json", folder_ / "times.json"}), 2, "times.html exists and was not written by flashblock",
                 1);
  expect_refusal(bench({"--json", folder_ / "times.json", "--overwrite"}), 2, "times.html exists", 1);
  expect_refusal(bench({"--json", folder_ / "gone/t.json"}), 5, "no such folder", 1);
  expect_refusal(bench({"--json", folder_ / (std::string(247, 't') + ".json")}), 2, "too long", 1);
}

TEST_F(UserFiles, FilesOfTheTextCommandAreKept) {
  write("stats.json", "{\"mine\": 1}");
  const ProgramRun run = run_program({"text", "a hill", "--stats", folder_ / "stats.json"});
  expect_refusal(run, 2, "stats.json exists and was not written by flashblock", 1);
  EXPECT_EQ(text("stats.json"), "{\"mine\": 1}");
}

}  // namespace
}  // namespace flashblock
