// Jobs files, lists of prompts, and names.
#include "batch/jobs_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "batch/job_names.h"
#include "batch/prompt_list.h"
#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::Pair;

class JobsFile : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  std::vector<BatchVideo> videos(const std::string& text) const { return read_jobs_file(write("jobs.yaml", text)); }
  /// What the video's own layers say of a key, the last one winning.
  static std::string setting(const BatchVideo& video, const std::string& key) {
    std::string text;
    for (const ConfigLayer& layer : video.layers) {
      YamlMap map(layer.values);
      if (const YamlValue* value = map.find(key)) text = value->text();
    }
    return text;
  }
  static std::vector<std::string> names(const std::vector<BatchVideo>& videos) {
    std::vector<std::string> names;
    for (const BatchVideo& video : videos) names.push_back(video.name);
    return names;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(JobsFile, DefaultsJobsAndSeeds) {
  const auto found = videos(
      "defaults: {seconds: 60, output: \"videos/{name}.mp4\"}\n"
      "jobs:\n"
      "  - {name: balloon, prompt: a red balloon, seed: 7}\n"
      "  - name: storm\n"
      "    seeds: [1, 2]\n"
      "    prompt: rain\n"
      "    seconds: 3\n");
  ASSERT_THAT(names(found), ElementsAre("balloon", "storm-1", "storm-2"));
  for (const BatchVideo& video : found) EXPECT_FALSE(video.fault) << video.fault->message;
  EXPECT_EQ(setting(found[0], "seconds"), "60");
  EXPECT_EQ(setting(found[1], "seconds"), "3");
  EXPECT_EQ(setting(found[0], "seed"), "7");
  EXPECT_EQ(setting(found[2], "seed"), "2");
  EXPECT_EQ(setting(found[2], "output"), "videos/storm-2.mp4");
  EXPECT_EQ(found[0].place, (folder_ / "jobs.yaml").string() + ":3");
}

TEST_F(JobsFile, TemplatesHaveTheirOwnPlaceForSeedAndRow) {
  write("list.txt", "one\ntwo\n");
  const auto found = videos(
      "jobs:\n"
      "  - {name: a, prompts: list.txt, seeds: [4, 5], output: \"{name}/{seed}/{row}.mp4\"}\n"
      "  - {name: b, prompt: c, contact_sheet: \"{job}.png\"}\n");
  ASSERT_THAT(names(found), ElementsAre("a-1-4", "a-1-5", "a-2-4", "a-2-5", "b"));
  EXPECT_EQ(setting(found[3], "output"), "a/5/2.mp4");
  EXPECT_EQ(setting(found[4], "output"), "videos/b.mp4") << "the default";
  EXPECT_EQ(setting(found[4], "contact_sheet"), "b.png");
}

TEST_F(JobsFile, ASeedThatIsNotGivenComesFromTheName) {
  const auto first = videos("jobs: [{name: a, prompt: x}, {name: b, prompt: x}]\n");
  const auto again = videos("jobs: [{name: a, prompt: y}]\n");
  EXPECT_EQ(setting(first[0], "seed"), setting(again[0], "seed"));
  EXPECT_NE(setting(first[0], "seed"), setting(first[1], "seed"));
  EXPECT_EQ(setting(first[0], "seed"), std::to_string(seed_from_name("a")));
}

TEST_F(JobsFile, TextListsGiveAVideoALine) {
  write("list.txt", "\xef\xbb\xbf# a comment\r\n\r\na red hill: really\r\n  a blue lake\r\n");
  const auto found = videos("jobs: [{name: walk, prompts: list.txt}]\n");
  ASSERT_THAT(names(found), ElementsAre("walk-1", "walk-2"));
  EXPECT_EQ(setting(found[0], "prompt"), "a red hill: really");
  EXPECT_EQ(setting(found[1], "prompt"), "a blue lake");
  EXPECT_EQ(found[1].place, (folder_ / "list.txt").string() + ":4");
}

TEST_F(JobsFile, CsvListsGiveSettings) {
  write("list.csv",
        "name,prompt,seconds,recipe.sink_frames\n"
        "hill,\"a red hill, and \"\"more\"\"\",2,\n"
        "lake,\"a lake\nat night\",,3\n");
  const auto found = videos("jobs: [{name: walk, prompts: list.csv, seconds: 9}]\n");
  ASSERT_THAT(names(found), ElementsAre("walk-hill", "walk-lake"));
  EXPECT_EQ(setting(found[0], "prompt"), "a red hill, and \"more\"");
  EXPECT_EQ(setting(found[0], "seconds"), "2");
  EXPECT_EQ(setting(found[1], "prompt"), "a lake\nat night");
  EXPECT_EQ(setting(found[1], "seconds"), "9") << "an empty cell counts as not given";
  YamlMap row(found[1].layers[found[1].layers.size() - 3].values);
  EXPECT_EQ(YamlMap(row.require("recipe")).require("sink_frames").integer(), 3);
}

TEST_F(JobsFile, CsvFaultsNameTheLine) {
  const auto fault = [&](const std::string& text) {
    return error_text<ConfigError>([&] { read_prompt_list(write("list.csv", text)); });
  };
  EXPECT_THAT(fault("prompt,prompt\na,b\n"), HasSubstr("list.csv:1: column prompt appears twice"));
  EXPECT_THAT(fault("prompt;seed\na;1\n"), HasSubstr("list.csv:1: unknown column prompt;seed: the cells are "
                                                     "separated by semicolons, wanted commas"));
  EXPECT_THAT(fault("prompt\tseed\na\t1\n"), HasSubstr("separated by tabs"));
  EXPECT_THAT(fault("promt,sed\na,1\n"), HasSubstr("list.csv:1: unknown column promt: did you mean prompt?; unknown "
                                                   "column sed: did you mean seed?"));
  EXPECT_THAT(fault("a red boat\na cat\n"), HasSubstr("the first row names the columns"));
  EXPECT_THAT(fault(""), HasSubstr("list.csv:1: the list is empty"));
  EXPECT_THAT(fault("prompt\n"), HasSubstr("the list is empty, wanted prompts"));
  EXPECT_THAT(error_text<ConfigError>([&] { read_prompt_list(folder_ / "gone.txt"); }), HasSubstr("gone.txt"));
}

TEST_F(JobsFile, CsvRowsAreJudgedOneByOne) {
  const auto faults = [&](const std::string& text) {
    std::vector<std::pair<int64_t, std::string>> faults;
    for (const PromptRow& row : read_prompt_list(write("list.csv", text))) faults.emplace_back(row.line, row.fault);
    return faults;
  };
  EXPECT_THAT(faults("prompt,seed\na,1\nb\nc,2\n"),
              ElementsAre(Pair(2, ""), Pair(3, HasSubstr("found 1 cells, wanted 2")), Pair(4, "")));
  EXPECT_THAT(faults("prompt\na\n\"b\"x\nc\n"),
              ElementsAre(Pair(2, ""), Pair(3, HasSubstr("text after a closing quote")), Pair(4, "")));
  EXPECT_THAT(faults("prompt\na\n\"b\n\nc\n"), ElementsAre(Pair(2, ""), Pair(3, HasSubstr("no closing quote"))));
  EXPECT_THAT(faults("prompt , seed\n \"a, b\" , 1\n"), ElementsAre(Pair(2, ""))) << "blanks around cells";
}

TEST_F(JobsFile, EmptyCellsOfASpreadsheetAreNothing) {
  const auto rows = [&](const std::string& text) {
    std::vector<std::pair<int64_t, std::string>> rows;
    for (const PromptRow& row : read_prompt_list(write("list.csv", text))) rows.emplace_back(row.line, row.fault);
    return rows;
  };
  EXPECT_THAT(rows("prompt,seed\na,1\n,\n , ,,\nb,2\n,,\n"), ElementsAre(Pair(2, ""), Pair(5, ""))) << "empty rows";
  EXPECT_THAT(rows("prompt,seed,,\na,1,,\nb,2,,x\nc,3\n,,,\n"),
              ElementsAre(Pair(2, ""), Pair(3, HasSubstr("no name in the first row")), Pair(4, HasSubstr("wanted 4"))));
  EXPECT_THAT(error_text<ConfigError>([&] { rows("prompt,,seed\na,b,1\n"); }), HasSubstr("column 2 has no name"));
}

TEST_F(JobsFile, RightRowsOfAListStay) {
  write("rows.csv", "name,prompt,seed\none,a boat,1\ntwo/2,a cat,x\nthree,a dog,2,\none,a fox,4\nfive,an owl,5\n");
  const auto found = videos("jobs:\n  - {name: r, prompts: rows.csv}\n");
  ASSERT_THAT(names(found), ElementsAre("r-one", "r-two_2", "r-3", "r-one (row 4)", "r-five"));
  const auto at = [&](int line, const std::string& text) {
    return ::testing::AllOf(::testing::StartsWith((folder_ / "rows.csv").string() + ":" + std::to_string(line) + ": "),
                            HasSubstr(text));
  };
  EXPECT_FALSE(found[0].fault);
  EXPECT_THAT(found[1].fault->message, at(3, "wanted a name for files"));
  EXPECT_THAT(found[2].fault->message, at(4, "found 4 cells, wanted 3"));
  EXPECT_THAT(found[3].fault->message, at(5, "the name r-one is already used by the video at"));
  EXPECT_THAT(found[3].fault->message, HasSubstr("rows.csv:2"));
  EXPECT_FALSE(found[4].fault);
  EXPECT_EQ(found[3].place, (folder_ / "rows.csv").string() + ":5");
  EXPECT_THAT(setting_faults(found[1].layers), ElementsAre(HasSubstr("rows.csv:3: seed: found \"x\"")))
      << "the other fault of this row";
}

TEST_F(JobsFile, AListThatIsWrongAsAWholeIsNamedByItsOwnLine) {
  write("rows.csv", "# a comment\nprompt,seed\na,1\n");
  const auto found = videos("jobs:\n  - {name: r, prompts: rows.csv}\n  - {name: good, prompt: a}\n");
  ASSERT_THAT(names(found), ElementsAre("r", "good"));
  EXPECT_EQ(found[0].place, (folder_ / "rows.csv").string() + ":1");
  EXPECT_THAT(found[0].fault->message, ::testing::StartsWith(found[0].place + ": unknown column # a comment"));
}

TEST_F(JobsFile, SeedsAreJudgedOneByOne) {
  const auto found = videos(
      "jobs:\n"
      "  - name: a\n"
      "    prompt: x\n"
      "    seeds:\n"
      "      - 1\n"
      "      - two\n"
      "      - 1\n"
      "      - 3\n");
  ASSERT_THAT(names(found), ElementsAre("a-1", "a", "a-1 (seed 3)", "a-3"));
  EXPECT_FALSE(found[0].fault || found[3].fault);
  EXPECT_THAT(found[1].fault->message, HasSubstr("jobs.yaml:6: jobs[0].seeds[1]: found \"two\""));
  EXPECT_THAT(found[2].fault->message, HasSubstr("the name a-1 is already used"));
}

TEST_F(JobsFile, ListsOfOtherKinds) {
  write("list.CSV", "prompt,seed\na,1\n");
  write("list.tsv", "prompt\tseed\na, b\t1\n");
  write("mac.txt", "a boat\ra cat\r");
  write("list.json", "[\"a boat\"]");
  EXPECT_EQ(read_prompt_list(folder_ / "list.CSV").at(0).settings.at(1).second, "1");
  EXPECT_EQ(read_prompt_list(folder_ / "list.tsv").at(0).settings.at(0).second, "a, b");
  EXPECT_EQ(read_prompt_list(folder_ / "mac.txt").size(), 2U);
  EXPECT_THAT(error_text<ConfigError>([&] { read_prompt_list(folder_ / "list.json"); }), HasSubstr("or a .csv file"));
  write("list.png", "\x89PNG\r\n\x1a\n");
  EXPECT_THAT(error_text<ConfigError>([&] { read_prompt_list(folder_ / "list.png"); }),
              HasSubstr("list.png is an image (PNG)"));
}

TEST_F(JobsFile, AWrongJobIsAFaultAndTheOthersStay) {
  const auto found = videos(
      "jobs:\n"
      "  - {name: good, prompt: a}\n"
      "  - {prompt: b}\n"
      "  - {name: good, prompt: c}\n"
      "  - {name: a/b, prompt: d}\n"
      "  - {name: both, prompt: e, seed: 1, seeds: [1]}\n"
      "  - {name: none, prompt: f, seeds: []}\n"
      "  - {name: list, prompts: gone.txt}\n"
      "  - {name: place, prompt: g, output: \"{nmae}.mp4\"}\n"
      "  - just text\n"
      "  - {name: last, prompt: h}\n");
  std::vector<std::pair<std::string, std::string>> faults;
  for (const BatchVideo& video : found) faults.emplace_back(video.name, video.fault ? video.fault->message : "");
  const auto at = [&](int line, const std::string& text) {
    return ::testing::AllOf(::testing::StartsWith((folder_ / "jobs.yaml").string() + ":" + std::to_string(line) + ":"),
                            HasSubstr(text));
  };
  EXPECT_THAT(faults, ElementsAre(Pair("good", ""), Pair("job 2", at(3, "the key name is missing")),
                                  Pair("good (job 3)", at(4, "the name good is already used")),
                                  Pair("a_b", at(5, "wanted a name for files")),
                                  Pair("both", at(6, "found seed and seeds")), Pair("none", at(7, "an empty list")),
                                  Pair("list", at(8, "gone.txt")), Pair("place", at(9, "found {nmae}")),
                                  Pair("job 9", at(10, "wanted a mapping")), Pair("last", "")));
}

TEST_F(JobsFile, AFileOfNoUseIsRefused) {
  const auto fault = [&](const std::string& text) { return error_text<ConfigError>([&] { videos(text); }); };
  EXPECT_THAT(fault("defaults: {seconds: 1}\n"), HasSubstr("the key jobs is missing"));
  EXPECT_THAT(fault("jobs: []\n"), HasSubstr("jobs.yaml:1: jobs: found an empty list"));
  EXPECT_THAT(fault("jobs: [{name: a}]\njob: 1\n"), HasSubstr("jobs.yaml:2: job: unknown key, did you mean jobs?"));
  EXPECT_THAT(fault("defaults:\n  secnds: 3\njobs: [{name: a}]\n"),
              HasSubstr("jobs.yaml:2: defaults.secnds: unknown key, did you mean seconds?"));
  EXPECT_THAT(fault("defaults:\n  secnds: 3\n  fps: x\njobs: [{name: a}]\n"), HasSubstr("; "))
      << "all faults of the defaults";
  EXPECT_THAT(fault("prompt: a hill\n"), HasSubstr("the configuration of one video"));
  EXPECT_THAT(fault("a red boat\n"), HasSubstr("a list of prompts is named in one"));
  EXPECT_THAT(fault("defaults: {name: a}\njobs: [{name: a}]\n"), HasSubstr("belongs to a job"));
  EXPECT_THAT(fault("jobs: [\n"), HasSubstr("not YAML"));
}

}  // namespace
}  // namespace flashblock
