// Memory as a dry run estimates it, against that of the render.
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <regex>

#include "media/video_writer.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/temporary_folder.h"
#include "weights/tensor_file.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FLASHBLOCK_SANITIZED 1
#else
#define FLASHBLOCK_SANITIZED 0
#endif

namespace flashblock {
namespace {

using namespace testing;

/// Runs the program in a separate process, whose memory is not that of the tests. Returns what it printed.
std::string run_alone(const std::string& arguments) {
  const char* other = std::getenv("FLASHBLOCK_PROGRAM");
  const std::string command = std::string(other ? other : FLASHBLOCK_PROGRAM) + " " + arguments;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  std::array<char, 4096> buffer{};
  while (const size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    text.append(buffer.data(), count);
  return text;
}

double expected_megabytes(const std::string& dry_run) {
  std::smatch found;
  EXPECT_TRUE(std::regex_search(dry_run, found, std::regex("expected memory: ([0-9.]+) MB"))) << dry_run;
  return found.empty() ? 0 : std::stod(found[1]);
}

/// A model of 30 million weights, and a decoder that is not tiny.
void write_larger_model(const std::filesystem::path& folder) {
  write_prompted_model(folder);
  const nlohmann::json transformer = {{"dim", 512},     {"num_heads", 8}, {"num_layers", 8},        {"ffn_dim", 2048},
                                      {"text_dim", 64}, {"text_len", 16}, {"freq_dim", 64},         {"in_dim", 16},
                                      {"out_dim", 16},  {"eps", 1e-6},    {"patch_size", {1, 2, 2}}};
  write_tensor_file(folder / "transformer.safetensors", formula_tensors(transformer_shapes(transformer)));
  write_tensor_file(folder / "vae.safetensors", formula_tensors(vae_shapes(24)));
  std::ofstream(folder / "config.json") << transformer.dump();
}

struct Case {
  const char* name;
  const char* arguments;
};

class Memory : public ::testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_larger_model(*shared_ / "model");
  }
  static void TearDownTestSuite() { delete shared_; }
  static TemporaryFolder* shared_;
};

TemporaryFolder* Memory::shared_ = nullptr;

TEST_P(Memory, IsPredictedWithinATenth) {
  if (FLASHBLOCK_SANITIZED) GTEST_SKIP() << "a sanitizer's own memory is not predicted";
  const TemporaryFolder folder;
  const std::string common = "render 'a hill' --seed 1 --quiet --device cpu --model " + (*shared_ / "model").string() +
                             " -o " + (folder / "video.mp4").string() + " " + GetParam().arguments;
  const double expected = expected_megabytes(run_alone(common + " --dry-run"));
  run_alone(common);
  const nlohmann::json sidecar_json = read_json(folder / "video.json");
  const double measured = sidecar_json.at("peak_memory_bytes").at("host").get<double>() / 1e6;
  std::printf("%s: expected %.1f MB, measured %.1f MB, %+.1f %%\n", GetParam().name, expected, measured,
              100 * (expected / measured - 1));
  EXPECT_NEAR(expected, measured, 0.1 * measured);
}

// The start has many times the frame's pixels: its frames are scaled as they are decoded.
TEST_F(Memory, WithAStartIsPredictedWithinATenth) {
  if (FLASHBLOCK_SANITIZED) GTEST_SKIP() << "a sanitizer's own memory is not predicted";
  const TemporaryFolder folder;
  VideoFormat format;
  format.width = 1920;
  format.height = 1088;
  format.encoder.preset = "ultrafast";
  VideoWriter writer(folder / "start.mp4", format, ExistingVideo::kRefuse);
  for (const int64_t frames : {9, 12, 12}) writer.write(at::full({frames, 1088, 1920, 3}, 90, at::kByte));
  writer.join({});
  const std::string common = "render 'a hill' --seed 1 --quiet --device cpu --model " + (*shared_ / "model").string() +
                             " -o " + (folder / "video.mp4").string() + " --size 48x32 --frames 9 --dtype float32" +
                             " --video " + (folder / "start.mp4").string();
  const double expected = expected_megabytes(run_alone(common + " --dry-run"));
  run_alone(common);
  const double measured = read_json(folder / "video.json").at("peak_memory_bytes").at("host").get<double>() / 1e6;
  std::printf("start: expected %.1f MB, measured %.1f MB, %+.1f %%\n", expected, measured,
              100 * (expected / measured - 1));
  EXPECT_NEAR(expected, measured, 0.1 * measured);
}

constexpr auto kCaseName = [](const ::testing::TestParamInfo<Case>& info) { return std::string(info.param.name); };
INSTANTIATE_TEST_SUITE_P(Sizes, Memory,
                         ::testing::Values(Case{"small", "--size 48x32 --frames 21 --dtype float32"},
                                           Case{"small_bfloat16", "--size 48x32 --frames 21 --dtype bfloat16"},
                                           Case{"offload", "--size 128x64 --frames 33 --dtype float32 --offload"},
                                           Case{"whole_past_in_8_bits",
                                                "--size 128x64 --frames 81 --dtype float32 --set "
                                                "recipe.window_frames=-1 --set recipe.sink_frames=0 --set "
                                                "precision.kv_cache=int8"}),
                         kCaseName);

// A CPU without AVX-512 has no fast bfloat16 convolution: ten minutes and more for "medium_bfloat16".
INSTANTIATE_TEST_SUITE_P(SlowSizes, Memory,
                         ::testing::Values(Case{"medium_bfloat16", "--size 256x160 --frames 33 --dtype bfloat16"},
                                           Case{"large",
                                                "--size 384x256 --frames 21 --dtype float32 --set "
                                                "recipe.window_frames=6 --set recipe.steps=[1000]"}),
                         kCaseName);

}  // namespace
}  // namespace flashblock
