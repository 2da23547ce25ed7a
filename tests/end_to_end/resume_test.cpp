// `flashblock render --resume`: a film that was ended by anything, and continued, is the film of one run, bit for bit.
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <regex>
#include <thread>

#include "core/weight_store.h"
#include "media/png_writer.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/formula_weights.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

/// The coded pictures of an MP4, which is all of it that does not depend on its name: the contents of its mdat box.
std::string coded_pictures(const fs::path& film) {
  const std::string bytes = read_text(film);
  for (size_t at = 0; at + 8 <= bytes.size();) {
    size_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
    if (bytes.compare(at + 4, 4, "mdat") == 0) return bytes.substr(at + 8, size - 8);
    if (size < 8) break;
    at += size;
  }
  ADD_FAILURE() << film << " has no pictures";
  return {};
}

std::string piece(int64_t number, const char* extension = ".m4s") {
  char name[32];
  std::snprintf(name, sizeof name, "%06d%s", static_cast<int>(number), extension);
  return name;
}

void flip_byte(const fs::path& file) {
  std::string bytes = read_text(file);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(file, std::ios::binary) << bytes;
}

/// Waits until piece `number` is there, or the program has ended for another reason: then it never comes.
void wait_for(const fs::path& piece_file) {
  for (int i = 0; i < 12000 && !fs::exists(piece_file); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_TRUE(fs::exists(piece_file));
}

class Resume : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_prompted_model(model());
  }
  static void TearDownTestSuite() { delete shared_; }
  static fs::path model() { return *shared_ / "model"; }

  Words command(const std::string& name, const Words& more = {}) const {
    Words words = {"render",   "a red hill", "--model", model(),   "--output", film(name), "--seed",   "7",
                   "--device", "cpu",        "--dtype", "float32", "--quiet",  "--set",    "frames=57"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  ProgramRun render(const std::string& name, const Words& more = {}) const { return run_program(command(name, more)); }
  ProgramRun resume(const std::string& name, const Words& more = {}) const {
    Words words = {"render", "--resume", "--output", film(name)};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  fs::path film(const std::string& name) const { return folder_ / (name + ".mp4"); }
  fs::path parts(const std::string& name) const { return folder_ / (name + ".parts"); }

  /// A film as a run leaves it that was ended after `pieces` pieces.
  void leave_unfinished(const std::string& name, int64_t pieces, const Words& more = {}) const {
    const fs::path obstacle = film(name).string() + ".part";
    fs::create_directory(obstacle);  // the pieces cannot be joined
    const ProgramRun run = render(name, more);
    ASSERT_EQ(run.status, 5) << run.err;
    EXPECT_THAT(run.err, HasSubstr("flashblock render --resume --output " + film(name).string()));
    EXPECT_FALSE(fs::exists(film(name)));
    fs::remove(obstacle);
    for (int64_t number = pieces; fs::remove(parts(name) / piece(number)); ++number) {
      fs::remove(parts(name) / piece(number, ".safetensors"));
    }
    ASSERT_TRUE(fs::exists(parts(name) / piece(pieces - 1)));
  }

  void expect_same(const std::string& name, const std::string& expected) const {
    EXPECT_EQ(coded_pictures(film(name)), coded_pictures(film(expected))) << name;
    EXPECT_FALSE(fs::exists(parts(name)));
    EXPECT_TRUE(fs::exists(folder_ / (name + ".json")));
  }
  void expect_same_records(const std::string& name, const std::string& expected) const {
    const auto found = WeightStore::open(folder_ / (name + ".safetensors"));
    const auto wanted = WeightStore::open(folder_ / (expected + ".safetensors"));
    ASSERT_EQ(found->names(), wanted->names());
    for (const std::string& tensor : wanted->names()) {
      EXPECT_TENSORS_IDENTICAL(found->tensor(tensor), wanted->tensor(tensor)) << tensor;
    }
  }

  static TemporaryFolder* shared_;
  TemporaryFolder folder_;
};

TemporaryFolder* Resume::shared_ = nullptr;

/// Settings of a film, and the piece after which it is interrupted.
struct Film {
  const char* name;
  Words words;
  int64_t pieces;
};

class ResumedFilm : public Resume, public ::testing::WithParamInterface<Film> {};

TEST_P(ResumedFilm, IsTheFilmOfOneRun) {
  write_png(folder_ / "start.png", formula_data("start", {3, 40, 60}, 0.5) + 0.5);
  const std::string name = GetParam().name;
  if (name == "video") {
    ASSERT_EQ(render("earlier", {"--set", "frames=21"}).status, 0);
  }
  if (name == "replay") {
    ASSERT_EQ(render("recorded", {"--record", folder_ / "input.safetensors"}).status, 0);
  }
  const auto words = [&](const std::string& name) {
    Words words = GetParam().words;
    for (std::string& word : words) {
      if (const auto at = word.find("FOLDER"); at != std::string::npos) word.replace(at, 6, folder_.path().string());
    }
    words.insert(words.end(),
                 {"--record", folder_ / (name + ".safetensors"), "--contact-sheet", folder_ / (name + ".png")});
    return words;
  };
  ASSERT_EQ(render("whole", words("whole")).status, 0);
  leave_unfinished("cut", GetParam().pieces, words("cut"));
  const ProgramRun run = resume("cut");
  ASSERT_EQ(run.status, 0) << run.err;
  expect_same("cut", "whole");
  expect_same_records("cut", "whole");
  EXPECT_EQ(read_text(folder_ / "cut.png"), read_text(folder_ / "whole.png"));
  const nlohmann::json account = read_json(folder_ / "cut.json");
  EXPECT_GT(account.at("film").at("resumed_frame_blocks"), 0);
  EXPECT_EQ(account.at("film").at("pictures"), read_json(folder_ / "whole.json").at("film").at("pictures"));
}

INSTANTIATE_TEST_SUITE_P(
    All, ResumedFilm,
    ::testing::Values(
        Film{"plain", {}, 3}, Film{"complete_but_for_joining", {}, 5},
        Film{"prompts", {"--prompt-at", "1.4=a blue lake", "--prompt-at", "2.9=night"}, 4},
        Film{"guidance", {"--set", "recipe.guidance_scale=3", "--prompt-at", "1.4=a blue lake"}, 4},
        Film{"first_pass", {"--set", "attention.refresh=first_pass"}, 3},
        Film{"image", {"--image", "FOLDER/start.png", "--set", "recipe.frames_per_block=1", "--set", "frames=21"}, 4},
        Film{"video", {"--video", "FOLDER/earlier.mp4", "--set", "frames=33"}, 3},
        Film{"replay", {"--replay", "FOLDER/input.safetensors"}, 2}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(Resume, TornAndMissingFilesAreMadeAgain) {
  ASSERT_EQ(render("whole").status, 0);
  leave_unfinished("left", 5);
  const std::vector<std::function<void(const fs::path&)>> damages = {
      [](const fs::path& folder) { fs::resize_file(folder / piece(4), 100); },
      [](const fs::path& folder) { fs::remove(folder / piece(2)); },
      [](const fs::path& folder) { flip_byte(folder / piece(3)); },
      [](const fs::path& folder) { fs::resize_file(folder / piece(3, ".safetensors"), 50); },
      [](const fs::path& folder) { fs::remove(folder / piece(0, ".safetensors")); },
      [](const fs::path& folder) { flip_byte(folder / piece(3, ".safetensors")); },
      [](const fs::path& folder) { fs::remove(folder / "init.mp4"); },
      [](const fs::path& folder) { std::ofstream(folder / (piece(5) + ".part")) << "torn"; }};
  for (size_t i = 0; i < damages.size(); ++i) {
    const std::string name = "damage" + std::to_string(i);
    fs::copy(parts("left"), parts(name));
    damages[i](parts(name));
    const ProgramRun run = resume(name);
    ASSERT_EQ(run.status, 0) << name << ": " << run.err;
    expect_same(name, "whole");
  }
}

TEST_F(Resume, AnotherFilmIsRefusedAndTheDifferenceNamed) {
  leave_unfinished("film", 2);
  const auto expect_refused = [&](const Words& more, const std::string& what) {
    const ProgramRun run = resume("film", more);
    EXPECT_EQ(run.status, 2) << what;
    EXPECT_THAT(run.err, AllOf(HasSubstr(what), HasSubstr("--overwrite")));
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  };
  expect_refused({"--set", "seed=8"}, "seed: 7 there, 8 here");
  expect_refused({"--set", "recipe.steps=[1000]"}, "recipe.steps");
  expect_refused({"--prompt", "a blue lake"}, "prompt: a red hill there, a blue lake here");
  expect_refused({"--prompt-at", "1.4=night"}, "timeline");
  expect_refused({"--attention", "exact"}, "attention.mode");
  expect_refused({"--frames", "90"}, "pictures: 57 there, 90 here");
  expect_refused({"--dtype", "bfloat16"}, "dtype: float32 there, bfloat16 here");
  expect_refused({"--set", "encoder.crf=30"}, "encoder.crf");
  const std::string identity = read_text(parts("film") / "film.json");
  const std::string other = std::regex_replace(identity, std::regex("flashblock 0[^\"]*"), "flashblock 0.0.1");
  std::ofstream(parts("film") / "film.json") << other;
  expect_refused({}, "program: flashblock 0.0.1 there");
  fs::remove(parts("film") / "film.json");
  expect_refused({}, "film.parts");
  std::ofstream(parts("film") / "film.json") << identity;
  EXPECT_EQ(resume("film").status, 0) << "the refusals have changed something";
}

TEST_F(Resume, ChangedWeightsAreRefusedAndTouchedOnesAreNot) {
  fs::copy(model(), folder_ / "other");
  const Words other = {"--set", "model=" + (folder_ / "other").string()};
  leave_unfinished("film", 2, other);
  const fs::path weights = folder_ / "other/transformer.safetensors";
  std::string bytes = read_text(weights);
  bytes[bytes.size() - 2] ^= 1;
  std::ofstream(weights, std::ios::binary) << bytes;
  const ProgramRun refused = resume("film");
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("transformer"), HasSubstr("another content")));
  bytes[bytes.size() - 2] ^= 1;
  std::ofstream(weights, std::ios::binary) << bytes;  // changed later than the film, and the same
  EXPECT_EQ(resume("film").status, 0);
}

TEST_F(Resume, PromptsThatAreNotToBeToldAreNotKept) {
  ASSERT_EQ(render("whole", {"--no-metadata"}).status, 0);
  leave_unfinished("film", 3, {"--no-metadata"});
  for (const auto& entry : fs::directory_iterator(parts("film"))) {
    EXPECT_THAT(read_text(entry.path()), Not(HasSubstr("red hill"))) << entry.path();
  }
  EXPECT_EQ(resume("film").status, 2) << "there is no prompt";
  const ProgramRun refused = resume("film", {"--prompt", "a blue hill"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("prompt: another one"));
  ASSERT_EQ(resume("film", {"--prompt", "a red hill"}).status, 0);
  expect_same("film", "whole");
}

TEST_F(Resume, CompleteFilmIsLeftAloneAndNothingBeginsAnew) {
  ASSERT_EQ(render("film", {"--resume"}).status, 0) << "nothing is there: the film begins";
  const std::string before = read_text(film("film"));
  const ProgramRun again = resume("film");
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("is complete"));
  const ProgramRun other = resume("film", {"--set", "seed=8"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("seed: 7 there, 8 here"));
  EXPECT_EQ(read_text(film("film")), before);
  EXPECT_EQ(resume("film", {"--overwrite"}).status, 2);
  fs::remove(folder_ / "film.json");
  EXPECT_EQ(render("film", {"--resume"}).status, 2) << "nobody knows what film it is";
}

TEST_F(Resume, UnfinishedFilmWithoutAWordIsLeftAlone) {
  leave_unfinished("film", 2);
  const ProgramRun run = render("film");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("--resume"));
  EXPECT_TRUE(fs::exists(parts("film") / piece(1)));
}

/// Runs as processes of their own, which are ended in one way after the other.
TEST_F(Resume, KillsAndSignalsInAnyOrder) {
  const Words longer = {"--set", "frames=393", "--prompt-at", "12=a blue lake"};
  ASSERT_EQ(render("whole", longer).status, 0);
  const Words again = {"render", "--resume", "--output", film("film")};
  {
    StartedProgram program(command("film", longer), folder_ / "errors");
    wait_for(parts("film") / piece(2));
    program.signal(SIGKILL);
    EXPECT_EQ(program.wait(), 128 + SIGKILL);
  }
  {
    StartedProgram program(again, folder_ / "errors");  // killed while it loads or goes back to where it was
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    program.signal(SIGKILL);
    program.wait();
  }
  {
    StartedProgram program(again, folder_ / "errors");
    wait_for(parts("film") / piece(8));
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(), 128 + SIGTERM);
    EXPECT_THAT(read_text(folder_ / "errors"),
                HasSubstr("flashblock render --resume --output " + film("film").string()));
  }
  EXPECT_FALSE(fs::exists(film("film")));
  fs::resize_file(parts("film") / piece(7), 200);
  ASSERT_EQ(run_program(again).status, 0);
  expect_same("film", "whole");
}

TEST_F(Resume, FullDiskInMidFilmKeepsWhatIsFinished) {
  const Words longer = {"--set", "frames=393"};
  ASSERT_EQ(render("whole", longer).status, 0);
  const auto before = ::signal(SIGXFSZ, SIG_IGN);  // inherited: a write fails, as on a full disk
  {
    StartedProgram program(command("film", longer), folder_ / "errors");
    wait_for(parts("film") / piece(2));
    program.limit_files(3000);
    EXPECT_EQ(program.wait(), 5) << read_text(folder_ / "errors");
  }
  ::signal(SIGXFSZ, before);
  EXPECT_THAT(read_text(folder_ / "errors"), AllOf(HasSubstr("flashblock: error: "), HasSubstr("film.parts"),
                                                   HasSubstr("flashblock render --resume --output")));
  EXPECT_TRUE(fs::exists(parts("film") / piece(2)));
  EXPECT_FALSE(fs::exists(film("film")));
  ASSERT_EQ(resume("film").status, 0);
  expect_same("film", "whole");
}

int64_t number_from(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::stoll(text) : otherwise;
}

// The long form: the demo model, 20 s, five kills a film at random moments, some pieces damaged in between.
// FLASHBLOCK_KILLS and FLASHBLOCK_KILL_SECONDS change the numbers.
TEST_F(Resume, SlowFiftyKillsAtRandomMoments) {
  const int64_t kills = number_from("FLASHBLOCK_KILLS", 50), seconds = number_from("FLASHBLOCK_KILL_SECONDS", 20);
  const auto demo = [&](const std::string& name) {
    return Words{"render",      "a red balloon drifts over snowy hills",
                 "--prompt-at", "2=a red balloon at night",
                 "--model",     test_data("../../assets/demo"),
                 "--output",    film(name),
                 "--seed",      "3",
                 "--seconds",   std::to_string(seconds),
                 "--record",    folder_ / (name + ".safetensors"),
                 "--quiet",     "--resume"};
  };
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(StartedProgram(demo("whole"), folder_ / "errors").wait(), 0) << read_text(folder_ / "errors");
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  std::mt19937 random(static_cast<unsigned>(number_from("FLASHBLOCK_KILL_SEED", 1)));
  std::uniform_real_distribution<double> moment(0, whole.count() / 2);
  int64_t done = 0, films = 0, damaged = 0;
  while (done < kills) {
    const std::string name = "film" + std::to_string(films++);
    for (int i = 0; i < 5 && done < kills && !fs::exists(film(name)); ++i) {
      StartedProgram program(demo(name), folder_ / "errors");
      std::this_thread::sleep_for(std::chrono::duration<double>(moment(random)));
      program.signal(SIGKILL);
      if (program.wait() == 128 + SIGKILL) ++done;
      const int64_t number = static_cast<int64_t>(random() % 8);
      const fs::path victim = parts(name) / piece(number, random() % 2 == 0 ? ".m4s" : ".safetensors");
      if (i % 2 == 1 && fs::exists(victim)) {
        ++damaged;
        if (random() % 2 == 0)
          fs::remove(victim);
        else
          fs::resize_file(victim, fs::file_size(victim) / 2);
      }
    }
    ASSERT_EQ(StartedProgram(demo(name), folder_ / "errors").wait(), 0) << read_text(folder_ / "errors");
    expect_same(name, "whole");
    expect_same_records(name, "whole");
    std::printf("%lld kills, %lld films, %lld pieces damaged\n", static_cast<long long>(done),
                static_cast<long long>(films), static_cast<long long>(damaged));
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace flashblock
