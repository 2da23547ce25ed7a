#include "models/known_checkpoints.h"

#include <gmock/gmock.h>

namespace flashblock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(KnownCheckpoints, ReleasesAreKnownByTheirPaths) {
  const std::pair<const char*, const char*> cases[] = {
      {"/m/checkpoints/self_forcing_dmd.pt", "self-forcing-dmd"},
      {"self_forcing_sid.pt", "self-forcing-sid"},
      {"/m/chunkwise/causal_forcing.pt", "causal-forcing-chunkwise"},
      {"/m/framewise/causal_forcing.pt", "causal-forcing-framewise"},
      {"/m/diffusion_models/causal_forcing-framewise.safetensors", "causal-forcing-framewise"},
      {"/m/causal-forcing++/framewise-2step.pt", "causal-forcing-framewise-2step"},
      {"/m/LongLive-1.3B/models/longlive_base.pt", "longlive-1.3b"},
      {"/m/chunkwise/ar/model.pt", "sgf-chunkwise"},
      {"/m/framewise/ar/model.pt", "sgf-framewise"},
      {"/m/Self_Gradient_Forcing_Plus/chunkwise/model.pt", "sgf-plus-chunkwise"},
      {"/m/Self_Gradient_Forcing_Plus/framewise/model.pt", "sgf-plus-framewise"},
      {"/m/rewardforcing.pt", "reward-forcing"},
      {"/m/MemFlow/base.pt", "memflow"},
      {"/m/opsdv-longlive/longlive_base.pt", "opsdv-longlive"},
      {"/m/OPSD-V/longlive_base.pt", "opsdv-longlive"},
      {"/m/self_forcing_dmd_ema_as_generator.pt", "opsdv-self-forcing"},
      {"/m/autoregressive_checkpoint/model.pt", "causvid"},
      {"/m/autoregressive_checkpoint_warp_4step_cfg2/model.pt", "causvid-4step"},
      {"/m/SFWan2.1-T2V-1.3B-Diffusers/transformer/diffusion_pytorch_model.safetensors", "fastvideo-self-forcing-1.3b"},
      {"/m/Wan2.1-T2V-1.3B/diffusion_pytorch_model.safetensors", "wan2.1-t2v-1.3b"}};
  for (const auto& [path, preset] : cases) {
    EXPECT_THAT(recognize_checkpoint(path, 1536).presets, ElementsAre(preset)) << path;
    EXPECT_THAT(recognize_checkpoint(path, 0).presets, ElementsAre(preset)) << path;
    EXPECT_THAT(recognize_checkpoint(path, 5120).presets, IsEmpty()) << path;
    EXPECT_THAT(recognize_checkpoint(path, 5120).notes, ElementsAre(HasSubstr("this one is 5120"))) << path;
    EXPECT_EQ(known_issue(path), "") << path;
  }
  EXPECT_THAT(recognize_checkpoint("/m/mine.pt", 1536).presets, IsEmpty());
  EXPECT_THAT(recognize_checkpoint("/m/mine.pt", 1536).notes, IsEmpty());
}

TEST(KnownCheckpoints, ReleasesOfOtherWidths) {
  for (const auto& [path, preset, dim] :
       {std::tuple{"m/LongLive-2.0-5B/model_bf16.pt", "longlive-2-5b", 3072},
        {"m/Wan2.2-TI2V-5B/diffusion_pytorch_model.safetensors.index.json", "wan2.2-ti2v-5b", 3072},
        {"m/krea-realtime-video-14b.safetensors", "krea-realtime-14b", 5120}})
    EXPECT_THAT(recognize_checkpoint(path, dim).presets, ElementsAre(preset)) << path;
}

TEST(KnownCheckpoints, DoubtsStagesOfTrainingAndOtherAlgorithms) {
  for (const char* path : {"checkpoints/ode_init.pt", "framewise/causal_ode.pt", "chunkwise/ar_diffusion.pt",
                           "wan_causal_ode_checkpoint_model_003000/model.pt", "bidirectional_checkpoint2/model.pt"})
    EXPECT_THAT(known_issue(path), HasSubstr("stage of training")) << path;
  EXPECT_THAT(known_issue("RollingForcing/checkpoints/rolling_forcing_dmd.pt"), HasSubstr("several frame blocks"));
  EXPECT_THAT(known_issue("m/chunkwise/longvideo.pt"), HasSubstr("several frame blocks"));
}

}  // namespace
}  // namespace flashblock
