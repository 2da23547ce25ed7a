// The long form of resume_test: videos of the demo model that are killed at random moments, in numbers.
//
//   end_to_end_tests --gtest_filter='*SlowFiftyKills*'        the CPU, 50 videos of 20 s
//   end_to_end_tests --gtest_filter='*SlowCudaTenKills*'      a GPU, 10 videos of 5 minutes
//
// FLASHBLOCK_KILLS, FLASHBLOCK_KILL_SECONDS (of video), FLASHBLOCK_KILL_SIZE (48x32, ...; smaller frames take less
// time) and FLASHBLOCK_KILL_SEED change the numbers; FLASHBLOCK_KILL_MODEL=small takes the small model of the other
// tests.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/end_to_end/unfinished_video.h"
#include "tests/support/cuda.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using Seconds = std::chrono::duration<double>;

int64_t number_from(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::stoll(text) : otherwise;
}

/// What happens to a video between its kill and the run that finishes it.
enum class Mishap { kNone, kKillWhileResumed, kTerminated, kTruncatedSegment, kMissingSegment };
constexpr const char* kMishaps[] = {"", ", killed while resumed", ", terminated while resumed", ", a segment truncated",
                                    ", a segment missing"};

class Kills : public ::testing::Test {
 protected:
  std::vector<std::string> command(const std::string& name) const {
    std::vector<std::string> command = {"render",      "a red balloon drifts over snowy hills",
                                        "--prompt-at", "2=a red balloon at night",
                                        "--model",     model_,
                                        "--output",    video(name),
                                        "--seed",      "3",
                                        "--seconds",   std::to_string(seconds_),
                                        "--device",    device_,
                                        "--record",    record(name),
                                        "--quiet",     "--resume"};
    if (const char* size = std::getenv("FLASHBLOCK_KILL_SIZE")) command.insert(command.end(), {"--size", size});
    return command;
  }
  fs::path video(const std::string& name) const { return folder_ / (name + ".mp4"); }
  fs::path record(const std::string& name) const { return folder_ / (name + ".safetensors"); }
  fs::path parts(const std::string& name) const { return folder_ / (name + ".parts"); }
  int64_t segments(const std::string& name) const {
    int64_t number = 0;
    while (fs::exists(parts(name) / segment(number))) ++number;
    return number;
  }

  enum class From { kStart, kFirstSegment };
  /// Starts or continues the video and sends a signal at a random moment of `time`. Returns the exit status.
  int interrupt(const std::string& name, int signal, From from, Seconds time) {
    StartedProgram program(command(name), folder_ / "errors");
    if (from == From::kFirstSegment) wait_for(parts(name) / segment(0));
    std::this_thread::sleep_for(time * std::uniform_real_distribution<double>(0, 1)(random_));
    program.signal(signal);
    return program.wait();
  }

  void spoil(const std::string& name, Mishap mishap, Seconds whole) {
    if (mishap == Mishap::kKillWhileResumed) interrupt(name, SIGKILL, From::kStart, whole / 2);
    if (mishap == Mishap::kTerminated) interrupt(name, SIGTERM, From::kStart, whole / 2);
    const int64_t count = segments(name);
    if (count == 0) return;
    const auto victim = static_cast<int64_t>(random_() % static_cast<uint64_t>(count));
    const fs::path file = parts(name) / segment(victim, random_() % 2 == 0 ? ".m4s" : ".safetensors");
    if (mishap == Mishap::kTruncatedSegment) fs::resize_file(file, fs::file_size(file) / 2);
    if (mishap == Mishap::kMissingSegment) fs::remove(file);
  }

  void run(const char* device, int64_t kills, int64_t seconds) {
    device_ = device;
    seconds_ = number_from("FLASHBLOCK_KILL_SECONDS", seconds);
    const char* model = std::getenv("FLASHBLOCK_KILL_MODEL");
    const bool small = model && std::string(model) == "small";
    model_ = small ? folder_ / "model" : test_data("../../assets/demo");
    if (small) write_prompted_model(model_);
    random_.seed(static_cast<unsigned>(number_from("FLASHBLOCK_KILL_SEED", 1)));
    const auto start = std::chrono::steady_clock::now();
    const auto passed = [&] { return Seconds(std::chrono::steady_clock::now() - start); };
    StartedProgram program(command("whole"), folder_ / "errors");
    wait_for(parts("whole") / segment(0));
    const Seconds first = passed();
    ASSERT_EQ(program.wait(), 0) << read_text(folder_ / "errors");
    const Seconds whole = passed();
    kills = number_from("FLASHBLOCK_KILLS", kills);
    for (int64_t i = 0; i < kills; ++i) {
      const std::string name = "video" + std::to_string(i);
      // One in seven at any moment, the others when there is something to lose.
      const From from = i % 7 == 6 ? From::kStart : From::kFirstSegment;
      const Seconds time = from == From::kStart ? whole : whole - first;
      do {
        fs::remove(video(name));  // it was finished before
        interrupt(name, SIGKILL, from, time);
      } while (fs::exists(video(name)));
      const int64_t count = segments(name);
      const auto mishap = static_cast<size_t>(i) % std::size(kMishaps);
      spoil(name, static_cast<Mishap>(mishap), whole);
      ASSERT_EQ(StartedProgram(command(name), folder_ / "errors").wait(), 0) << read_text(folder_ / "errors");
      expect_same_video(video(name), video("whole"));
      expect_same_tensors(record(name), record("whole"));
      if (HasFailure()) return;
      const auto resumed = read_json(folder_ / (name + ".json")).at("video").at("resumed_frame_blocks").get<int64_t>();
      std::printf("kill %lld: at %lld segments%s, finished from frame block %lld on: the same\n",
                  static_cast<long long>(i + 1), static_cast<long long>(count), kMishaps[mishap],
                  static_cast<long long>(resumed));
      std::fflush(stdout);
      fs::remove(record(name));
    }
  }

  TemporaryFolder folder_;
  fs::path model_;
  std::string device_;
  int64_t seconds_ = 0;
  std::mt19937 random_;
};

TEST_F(Kills, SlowFiftyKillsAtRandomMoments) { run("cpu", 50, 20); }

TEST_F(Kills, SlowCudaTenKillsAtRandomMoments) {
  FLASHBLOCK_NEED_CUDA();
  run("cuda", 10, 300);
}

}  // namespace
}  // namespace flashblock
