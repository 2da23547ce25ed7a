// Videos denoised by several processes, here threads with sockets between them, against one process.
#include "pipeline/denoiser_group.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "attention/policies/published_gate.h"
#include "core/child_process.h"
#include "core/socket_group.h"
#include "pipeline/context_rule.h"
#include "pipeline/render_line.h"
#include "pipeline/render_session.h"
#include "tests/support/recorded_video.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::change_prompts;
using testing::guide;
using testing::KeepingSink;
using testing::RecordedVideo;
using testing::relative_norm_error;

/// Followers of a recorded video's session, each on a thread.
class FollowingThreads {
 public:
  FollowingThreads(RecordedVideo& video, size_t processes) : video_(video) {
    std::vector<std::vector<FileDescriptor>> sockets(processes);
    for (auto& of_one : sockets) of_one.resize(processes);
    for (size_t a = 0; a < processes; ++a)
      for (size_t b = a + 1; b < processes; ++b) std::tie(sockets[a][b], sockets[b][a]) = socket_pair();
    const std::vector<std::string> names(processes, "cpu");
    std::vector<std::shared_ptr<MessageChannel>> channels;
    group_ = std::make_shared<SocketGroup>(0, std::move(sockets[0]), names);
    for (size_t rank = 1; rank < processes; ++rank) {
      auto [ours, theirs] = socket_pair();
      channels.push_back(std::make_shared<MessageChannel>(std::move(ours)));
      auto group = std::make_shared<SocketGroup>(int64_t(rank), std::move(sockets[rank]), names);
      threads_.emplace_back([this, group, leader = std::make_shared<MessageChannel>(std::move(theirs))] {
        const ThreadLimit one(1);  // a new thread has the count that any thread set last
        follow(*leader, group);
      });
    }
    video_.options.followers = std::make_shared<Followers>(group_, std::move(channels));
  }
  ~FollowingThreads() {
    video_.options.followers.reset();  // closes the channels
    for (std::thread& thread : threads_) thread.join();
  }

  int64_t bytes_sent() const { return group_->bytes_sent(); }

 private:
  void follow(MessageChannel& leader, const std::shared_ptr<const ProcessGroup>& group) const {
    while (const auto message = leader.receive()) {
      const SessionOptions& options = video_.options;
      SharedVideo shared{options.recipe,
                         state_options(options.recipe, options.geometry,
                                       nlohmann::json::parse(message->text).at("max_frames"), options.attention)};
      shared.state.group = group;
      follow_video(leader, video_.shared_transformer(), shared);
    }
  }

  RecordedVideo& video_;
  std::shared_ptr<const ProcessGroup> group_;
  std::vector<std::thread> threads_;
};

struct Variant {
  const char* name;
  const char* video;
  int processes;
  void (*change)(RecordedVideo&) = [](RecordedVideo&) {};
};

void refresh_by(RecordedVideo& video, RefreshPolicyRef policy) {
  video.options.attention.mode = AttentionConfig::Mode::kFlashblock;
  video.options.attention.refresh = policy;
}

class DenoiserGroup : public ::testing::TestWithParam<Variant> {};

TEST_P(DenoiserGroup, LatentsAreThoseOfOneProcess) {
  RecordedVideo video(GetParam().video);
  video.inputs.noise = std::make_shared<SeededNoise>(3);
  video.plan.blocks = 4;
  video.options.keep_pixels = false;
  GetParam().change(video);
  KeepingSink alone, together;
  const RenderCounts counts = video.render(alone);
  const FollowingThreads followers(video, size_t(GetParam().processes));
  const RenderCounts own = video.render(together);
  EXPECT_LT(relative_norm_error(together.latents(), alone.latents()), 1e-5);
  EXPECT_GT(followers.bytes_sent(), 0);
  EXPECT_EQ(own.transformer.passes, counts.transformer.passes);
  EXPECT_LT(own.state_bytes, counts.state_bytes) << "each process has the keys and values of its own heads";

  // Resumed by as many processes, it is the same, bit for bit.
  FinishedPart finished;
  for (size_t i = 0; i < 2; ++i) finished.latents.push_back(together.blocks[i].latents.clone());
  KeepingSink rest;
  video.render(rest, video.inputs, {}, finished);
  ASSERT_EQ(rest.blocks.size() + 2, together.blocks.size());
  for (size_t i = 0; i < rest.blocks.size(); ++i)
    EXPECT_TENSORS_IDENTICAL(rest.blocks[i].latents, together.blocks[i + 2].latents) << "block " << i + 2;
}

INSTANTIATE_TEST_SUITE_P(
    Videos, DenoiserGroup,
    ::testing::Values(
        Variant{"exact_whole_past", "pipeline_full", 2}, Variant{"exact_window_sink", "pipeline_window9_sink3", 2},
        Variant{"first_and_clean_pass", "pipeline_window9_sink3", 2,
                [](RecordedVideo& video) { refresh_by(video, "first_and_clean_pass"); }},
        Variant{"first_pass_and_prompts", "pipeline_window9_sink3", 2,
                [](RecordedVideo& video) {
                  refresh_by(video, "first_pass");
                  change_prompts(video);
                }},
        Variant{"error_bound", "pipeline_window9_sink3", 2,
                [](RecordedVideo& video) {
                  refresh_by(video, "error_bound");
                  video.options.attention.bound = 0.02;
                }},
        Variant{"published_gate", "pipeline_window9_sink3", 2,
                [](RecordedVideo& video) {
                  const TransformerConfig& sizes = video.transformer().config();
                  auto gate = std::make_shared<RefreshGate>();
                  gate->heads = sizes.heads;
                  gate->steps = video.options.recipe.denoising_passes();
                  for (int64_t layer = 0; layer < sizes.layers; ++layer) {
                    auto& passes = gate->computes.emplace_back();
                    for (int64_t pass = 0; pass <= gate->steps; ++pass) {
                      auto& heads = passes.emplace_back();
                      for (int64_t head = 0; head < sizes.heads; ++head)
                        heads.push_back((layer + pass + head) % 3 == 0);
                    }
                  }
                  refresh_by(video, "published_gate");
                  video.options.attention.gate = gate;
                }},
        Variant{"sparse", "pipeline_window9_sink3", 2,
                [](RecordedVideo& video) {
                  refresh_by(video, "first_pass");
                  video.options.attention.density = 0.3;
                }},
        Variant{"guidance_unipc", "pipeline_window9_sink3", 2,
                [](RecordedVideo& video) {
                  guide(video);
                  video.options.recipe.unipc_steps = 3;
                }},
        Variant{"ema_sink", "rewardforcing_ema900", 2, [](RecordedVideo& video) { video.plan.blocks = 6; }},
        Variant{"memory_bank", "memflow_interactive", 2,
                [](RecordedVideo& video) {
                  video.plan.blocks = 6;
                  video.options.recipe.bank_frames = 2;
                  video.options.recipe.bank_interval = 1;
                }},
        Variant{"recomputed", "krea_recompute_block3", 2},
        Variant{"shots", "longlive2_shots", 2, [](RecordedVideo& video) { video.inputs.shots = {1}; }},
        Variant{"image_in_first_block", "longlive2_i2v", 2}, Variant{"start", "pipeline_extend3_shift8", 2}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(DenoiserGroup, NoiseWithoutASeedComesFromTheLeadingProcess) {
  class Unknown : public SeededNoise {
   public:
    using SeededNoise::SeededNoise;
    std::optional<uint64_t> seed() const override { return {}; }
  };
  RecordedVideo video("pipeline_full");
  video.plan.blocks = 2;
  video.options.keep_pixels = false;
  const FollowingThreads followers(video, 2);
  KeepingSink seeded, unknown;
  video.inputs.noise = std::make_shared<SeededNoise>(3);
  video.render(seeded);
  video.inputs.noise = std::make_shared<Unknown>(3);
  video.render(unknown);
  EXPECT_TENSORS_IDENTICAL(unknown.latents(), seeded.latents());
}

TEST(DenoiserGroup, StopsBetweenPassesAndRendersTheNextVideo) {
  RecordedVideo video("pipeline_full");
  KeepingSink alone, stopped, together;
  video.render(alone);
  const FollowingThreads followers(video, 2);
  std::stop_source stop;
  stop.request_stop();
  video.render(stopped, video.inputs, stop.get_token());
  EXPECT_TRUE(stopped.blocks.empty());
  video.render(together);
  EXPECT_LT(relative_norm_error(together.latents(), alone.latents()), 1e-5);
}

}  // namespace
}  // namespace flashblock
