// Videos of the published implementation, through the whole program: published file formats in, an MP4 out.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "media/frame_conversion.h"
#include "media/video_reader.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/model_folder_writer.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using namespace testing;

class Replay : public ::testing::TestWithParam<const char*> {
 protected:
  Replay() : record_(whole_parity_file(GetParam(), folder_.path())) { write_model_folder(record_, folder_ / "model"); }

  const std::filesystem::path& record() const { return record_; }
  ProgramRun replay(const std::filesystem::path& record, const std::string& name) {
    return run_program({"render", "--model", folder_ / "model", "--replay", record, "--record",
                        folder_ / (name + ".safetensors"), "--output", folder_ / (name + ".mp4"), "--attention",
                        "exact", "--dtype", "float32", "--device", "cpu", "--quiet"});
  }

  TemporaryFolder folder_;

 private:
  std::filesystem::path record_;
};

TEST_P(Replay, IsTheRecordedVideo) {
  const ProgramRun run = replay(record(), "video");
  ASSERT_EQ(run.status, 0) << run.err;
  const auto expected = WeightStore::open(record());
  const auto made = WeightStore::open(folder_ / "video.safetensors");
  EXPECT_TENSORS_CLOSE(made->tensor("latents"), expected->tensor("latents"), 1e-4, 1e-4);
  const at::Tensor reference = expected->tensor("video").to(at::kFloat);
  const at::Tensor begin = made->tensor("video").narrow(1, 0, reference.size(1)).to(at::kFloat);
  EXPECT_TENSORS_CLOSE(begin.slice(3, 0, {}, 2).slice(4, 0, {}, 2), reference, 2e-3, 2e-3);

  const at::Tensor video = read_video(folder_ / "video.mp4");
  const at::Tensor decoded = made->tensor("video")[0].to(at::kFloat);
  ASSERT_EQ(video.sizes(), decoded.sizes());
  EXPECT_LT((video - decoded).pow(2).mean().item<float>(), 0.01) << "H.264 took more than 20 dB";
}

TEST_P(Replay, OfItsOwnRecordIsTheSameBitForBit) {
  ASSERT_EQ(replay(record(), "first").status, 0);
  ASSERT_EQ(replay(folder_ / "first.safetensors", "second").status, 0);
  const auto first = WeightStore::open(folder_ / "first.safetensors");
  const auto second = WeightStore::open(folder_ / "second.safetensors");
  ASSERT_EQ(first->names(), second->names());
  for (const std::string& name : first->names()) {
    EXPECT_TENSORS_IDENTICAL(second->tensor(name), first->tensor(name)) << name;
  }
}

class ReplayedLatents : public Replay {};

TEST_P(ReplayedLatents, AreTheRecordedOnes) {
  const ProgramRun run = replay(record(), "video");
  ASSERT_EQ(run.status, 0) << run.err;
  const auto expected = WeightStore::open(record()), made = WeightStore::open(folder_ / "video.safetensors");
  EXPECT_TENSORS_CLOSE(made->tensor("latents"), expected->tensor("latents"), 1e-4, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Recordings, ReplayedLatents,
                         ::testing::Values("sgf_chunkwise", "sgf_framewise_i2v", "sgf_opsdv_relative_sink",
                                           "sgf_plus_chunkwise_i2v", "longlive2_rollout", "longlive2_shots",
                                           "longlive2_i2v", "rewardforcing_ema900", "memflow_interactive",
                                           "memflow_bank3", "krea_recompute_block3", "krea_recompute_switch"),
                         [](const auto& info) { return std::string(info.param); });

INSTANTIATE_TEST_SUITE_P(Videos, Replay,
                         ::testing::Values("pipeline_full", "pipeline_window9_sink3", "pipeline_extend3_shift8"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace flashblock
