// Videos that share streams and threads: one after another, after a fault, and two at the same time.
#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "core/error.h"
#include "pipeline/noise_source.h"
#include "pipeline/render_line.h"
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

/// A decoder of black frames that records the threads it works on.
class SpyDecoder : public LatentDecoder {
 public:
  HalfDecoded begin(const at::Tensor& latents) override {
    beginning.insert(thread_number());
    return {latents};
  }
  at::Tensor decode_unclamped(const at::Tensor& latents) override {
    decoding.insert(thread_number());
    cpu_threads.push_back(at::get_num_threads());
    if (faulty) throw DeviceError("out of memory");
    const int64_t frames = 4 * latents.size(1) - (begun_ ? 0 : 3);
    begun_ = true;
    return at::zeros({frames, 3, 8 * latents.size(3), 8 * latents.size(4)});
  }
  void reset() override { begun_ = false; }
  int parts() const override { return halves ? 2 : 1; }
  int64_t latent_channels() const override { return 16; }
  int64_t pixel_stride() const override { return 8; }
  int64_t state_bytes() const override { return 0; }

  bool faulty = false, halves = true;
  std::set<int> beginning, decoding, restoring;
  std::vector<int> cpu_threads;  ///< of each call

 protected:
  std::vector<LayerMemory> layer_memories() const override { return {{.history_frames = 1}}; }
  void fill_history(const at::Tensor&, size_t, Place) override {
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

class VideosOnOneLine : public ::testing::Test {
 protected:
  VideosOnOneLine() {
    video_.use_decoder(decoder_);
    video_.options.line = std::make_shared<RenderLine>(at::kCPU);
  }

  /// Each video in a session of its own. Returns the frame blocks written.
  int64_t render(FrameSink& sink, const FinishedPart& finished = {}) {
    return video_.render(sink, video_.inputs, {}, finished).blocks_written;
  }

  std::shared_ptr<SpyDecoder> decoder_ = std::make_shared<SpyDecoder>();
  RecordedVideo video_{"pipeline_full"};
  const int64_t blocks_ = video_.plan.blocks;
};

TEST_F(VideosOnOneLine, AreDecodedAndRestoredOnOneThread) {
  const ThreadLimit two_a_stage(4);
  KeepingSink first, second, rest;
  render(first);
  render(second);
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
  EXPECT_EQ(render(rest, {.latents = {first.blocks[0].latents}}), blocks_ - 1);
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
  EXPECT_EQ(decoder_->restoring, decoder_->decoding);
  EXPECT_NE(*decoder_->decoding.begin(), thread_number());
}

TEST_F(VideosOnOneLine, AreDecodedInHalvesWhereAStageHasOneThread) {
  const ThreadLimit one_a_stage(2);
  KeepingSink first, rest;
  render(first);
  EXPECT_EQ(render(rest, {.latents = {first.blocks[0].latents}}), blocks_ - 1);
  EXPECT_THAT(decoder_->beginning, SizeIs(1));
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
  EXPECT_NE(decoder_->beginning, decoder_->decoding);
  EXPECT_EQ(decoder_->restoring, decoder_->beginning);
}

TEST_F(VideosOnOneLine, AreDecodedWholeByADecoderWithoutHalves) {
  const ThreadLimit one_a_stage(2);
  decoder_->halves = false;
  KeepingSink sink;
  EXPECT_EQ(render(sink), blocks_);
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
  EXPECT_EQ(decoder_->beginning, decoder_->decoding);
}

TEST_F(VideosOnOneLine, DecodeTheLastBlockWithAllCpuThreads) {
  const ThreadLimit two_a_stage(4);
  std::vector<int> expected(static_cast<size_t>(blocks_), 2);
  expected.back() = 4;
  for (const Overlap overlap : {Overlap::kOn, Overlap::kOff}) {
    video_.options.overlap = overlap;
    decoder_->cpu_threads.clear();
    KeepingSink sink;
    render(sink);
    EXPECT_EQ(decoder_->cpu_threads, expected);
  }
}

TEST_F(VideosOnOneLine, StayOnTheCallersThreadWithoutOverlap) {
  video_.options.overlap = Overlap::kOff;
  KeepingSink whole, rest;
  render(whole);
  render(rest, {.latents = {whole.blocks[0].latents}});
  const std::set only_this = {thread_number()};
  EXPECT_EQ(decoder_->decoding, only_this);
  EXPECT_EQ(decoder_->restoring, only_this);
}

TEST_F(VideosOnOneLine, RenderAfterOneThatFails) {
  FullDisk full_disk;
  KeepingSink lost, sink;
  EXPECT_THROW(render(full_disk), MediaError);
  decoder_->faulty = true;
  EXPECT_THROW(render(lost), DeviceError);
  decoder_->faulty = false;
  EXPECT_EQ(render(sink), blocks_);
  EXPECT_THAT(decoder_->decoding, SizeIs(1));
}

TEST(DecoderInHalves, GivesTheSameVideo) {
  const ThreadLimit one_a_stage(2);
  RecordedVideo video("pipeline_window9_sink3");
  KeepingSink halves, whole;
  video.render(halves);
  video.options.overlap = Overlap::kOff;
  video.render(whole);
  EXPECT_TENSORS_IDENTICAL(halves.rgb(), whole.rgb());
}

/// Noise that reports each draw before it is made.
class ReportingNoise : public NoiseSource {
 public:
  ReportingNoise(std::shared_ptr<const NoiseSource> noise, std::function<void()> report)
      : noise_(std::move(noise)), report_(std::move(report)) {}
  at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const override {
    report_();
    return noise_->noise(frame_block, draw, shape);
  }

 private:
  std::shared_ptr<const NoiseSource> noise_;
  std::function<void()> report_;
};

TEST(RenderLine, OfTwoVideosAtTheSameTimeOneWaits) {
  std::mutex mutex;
  std::vector<int> turns;
  RecordedVideo videos[] = {RecordedVideo("pipeline_full"), RecordedVideo("pipeline_window9_sink3")};
  KeepingSink alone[2], together[2];
  for (int i : {0, 1}) videos[i].render(alone[i]);
  const auto line = std::make_shared<RenderLine>(at::kCPU);
  for (int i : {0, 1}) {
    videos[i].options.line = line;
    videos[i].inputs.noise = std::make_shared<ReportingNoise>(videos[i].inputs.noise, [&, i] {
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
