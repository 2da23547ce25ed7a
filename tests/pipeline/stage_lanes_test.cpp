// Videos that share streams and threads: one after another, after a fault, and two that want them at once.
#include "pipeline/stage_lanes.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "analysis/synthetic_model.h"
#include "core/error.h"
#include "pipeline/loaded_model.h"
#include "pipeline/noise_source.h"
#include "pipeline/thread_share.h"
#include "render/render_setup.h"
#include "render/session_setup.h"
#include "tests/support/recorded_video.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::KeepingSink;
using testing::RecordedVideo;
using ::testing::SizeIs;

/// The calling thread's. Unlike its id, no later thread gets it again.
int thread_number() {
  static std::atomic<int> threads = 0;
  thread_local const int number = threads++;
  return number;
}

/// A decoder of black frames that notes where it works.
class NotingDecoder : public LatentDecoder {
 public:
  HalfDecoded begin(const at::Tensor& latents) override {
    beginning.insert(thread_number());
    return {latents};
  }
  at::Tensor decode_unclamped(const at::Tensor& latents) override {
    decoding.insert(thread_number());
    if (faulty) throw DeviceError("out of memory");
    const int64_t frames = 4 * latents.size(1) - (begun_ ? 0 : 3);
    begun_ = true;
    return at::zeros({frames, 3, 8 * latents.size(3), 8 * latents.size(4)});
  }
  void reset() override { begun_ = false; }
  int parts() const override { return halves ? 2 : 1; }
  int64_t latent_channels() const override { return 16; }
  int64_t state_bytes() const override { return 0; }

  bool faulty = false, halves = true;
  std::set<int> beginning, decoding, restoring;

 protected:
  std::vector<LayerMemory> layer_memories() const override { return {{.history_frames = 1}}; }
  void remember(const at::Tensor&, size_t, Place) override {
    restoring.insert(thread_number());
    begun_ = true;
  }
  at::Tensor to_frames(const at::Tensor& latents) const override { return latents[0].permute({0, 2, 3, 1}); }

 private:
  bool begun_ = false;
};

class FullDisk : public FrameSink {
  void write(const RenderedBlock&) override { throw MediaError("the disk is full"); }
};

RenderConfig small_video(const ModelGeometry& geometry) {
  RenderConfig config{.prompt = "a hill", .model = random_description(geometry)};
  config.width = 48;
  config.height = 32;
  config.frames = 9 + 12 + 12;  // three frame blocks
  return config;
}

class VideosOfOneModel : public ::testing::Test {
 protected:
  /// Each video in a session of its own.
  RenderCounts video(FrameSink& sink, const FinishedPart& finished = {}) {
    const SessionInputs inputs{.prompts = {{.embedding = at::zeros({1, geometry_.text_length, geometry_.text_width})}},
                               .noise = std::make_shared<SeededNoise>(1)};
    RenderSession session(model_.transformer(), decoder_, session_options(setup_, model_), profile_);
    return session.render(setup_.plan, inputs, sink, {}, finished).counts;
  }

  const ModelGeometry geometry_ = parse_geometry("width=64,layers=1,heads=1,ffn=64,text=64,text_length=8,vae=8");
  Profile profile_;
  LoadedModel model_{random_description(geometry_),
                     at::kCPU,
                     at::kFloat,
                     profile_,
                     {.weights = random_weights(geometry_, at::kCPU, at::kFloat)}};
  RenderSetup setup_ = set_up_render(small_video(geometry_), model_.transformer_config());
  std::shared_ptr<NotingDecoder> decoder_ = std::make_shared<NotingDecoder>();
};

TEST_F(VideosOfOneModel, AreDecodedAndRestoredOnOneThread) {
  const ThreadShare two_a_stage(4);
  KeepingSink first, second, rest;
  video(first);
  video(second);
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
  EXPECT_EQ(video(rest, {.latents = {first.blocks[0].latents}}).blocks_written, 2);
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
  EXPECT_EQ(decoder_->restoring, decoder_->decoding);
  EXPECT_NE(*decoder_->decoding.begin(), thread_number());
}

TEST_F(VideosOfOneModel, AreDecodedInHalvesWhereAStageHasOneThread) {
  const ThreadShare one_a_stage(2);
  KeepingSink first, rest;
  video(first);
  EXPECT_EQ(video(rest, {.latents = {first.blocks[0].latents}}).blocks_written, 2);
  EXPECT_THAT(decoder_->beginning, SizeIs(1));
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
  EXPECT_NE(decoder_->beginning, decoder_->decoding);
  EXPECT_EQ(decoder_->restoring, decoder_->beginning);
}

TEST_F(VideosOfOneModel, AreDecodedWholeByADecoderWithoutHalves) {
  const ThreadShare one_a_stage(2);
  decoder_->halves = false;
  KeepingSink sink;
  EXPECT_EQ(video(sink).blocks_written, 3);
  EXPECT_THAT(decoder_->beginning, SizeIs(0));
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
}

TEST(DecoderInHalves, GivesTheSameVideo) {
  const ThreadShare one_a_stage(2);
  RecordedVideo video("pipeline_window9_sink3");
  KeepingSink halves, whole;
  video.render(halves);
  video.options.overlap = Overlap::kOff;
  video.render(whole);
  EXPECT_TENSORS_IDENTICAL(halves.rgb(), whole.rgb());
}

TEST_F(VideosOfOneModel, StayOnTheCallersThreadWithoutOverlap) {
  setup_.config.overlap = false;
  KeepingSink whole, rest;
  video(whole);
  video(rest, {.latents = {whole.blocks[0].latents}});
  const std::set only_this = {thread_number()};
  EXPECT_EQ(decoder_->decoding, only_this);
  EXPECT_EQ(decoder_->restoring, only_this);
}

TEST_F(VideosOfOneModel, GoOnAfterOneThatFails) {
  FullDisk full_disk;
  KeepingSink lost, sink;
  EXPECT_THROW(video(full_disk), MediaError);
  decoder_->faulty = true;
  EXPECT_THROW(video(lost), DeviceError);
  decoder_->faulty = false;
  EXPECT_EQ(video(sink).blocks_written, 3);
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
}

/// Noise that says, before each draw, whose video it is for.
class SpokenNoise : public NoiseSource {
 public:
  SpokenNoise(std::shared_ptr<const NoiseSource> noise, std::function<void()> say)
      : noise_(std::move(noise)), say_(std::move(say)) {}
  at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const override {
    say_();
    return noise_->noise(frame_block, draw, shape);
  }

 private:
  std::shared_ptr<const NoiseSource> noise_;
  std::function<void()> say_;
};

TEST(StageLanes, OfTwoVideosThatWantThemAtOnceOneWaits) {
  std::mutex mutex;
  std::vector<int> turns;
  RecordedVideo videos[] = {RecordedVideo("pipeline_full"), RecordedVideo("pipeline_window9_sink3")};
  KeepingSink alone[2], together[2];
  for (int i : {0, 1}) videos[i].render(alone[i]);
  const auto lanes = std::make_shared<StageLanes>(at::kCPU);
  for (int i : {0, 1}) {
    videos[i].options.lanes = lanes;
    videos[i].inputs.noise = std::make_shared<SpokenNoise>(videos[i].inputs.noise, [&, i] {
      const std::lock_guard lock(mutex);
      if (turns.empty() || turns.back() != i) turns.push_back(i);
    });
  }
  std::thread beside([&] { videos[0].render(together[0]); });
  videos[1].render(together[1]);
  beside.join();
  EXPECT_THAT(turns, SizeIs(2)) << "the videos were denoised at the same time";
  for (int i : {0, 1}) EXPECT_TENSORS_IDENTICAL(together[i].rgb(), alone[i].rgb());
}

}  // namespace
}  // namespace flashblock
