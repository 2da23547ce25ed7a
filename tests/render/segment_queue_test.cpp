#include "render/segment_queue.h"

#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "tests/support/temporary_folder.h"

namespace flashblock::testing {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kFrames = 3;

VideoFormat tiny_format() {
  VideoFormat format;
  format.width = 64, format.height = 48;
  return format;
}

at::Tensor grey_block(int64_t block) {
  return at::full({kFrames, 48, 64, 3}, 10 * block, at::TensorOptions(at::kByte));
}

std::string bytes_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class SegmentQueueTest : public ::testing::TestWithParam<Overlap> {
 protected:
  TemporaryFolder folder_;
  VideoWriter writer_{folder_.path() / "video.mp4", tiny_format(), ExistingVideo::kRefuse};
};

TEST_P(SegmentQueueTest, StoresInOrderWhatTheWriterWrites) {
  VideoWriter reference(folder_.path() / "reference.mp4", tiny_format(), ExistingVideo::kRefuse);
  std::vector<int64_t> frames_when_stored;
  constexpr int64_t kBlocks = 12;
  {
    SegmentQueue queue(writer_, GetParam());
    for (int64_t block = 0; block < kBlocks; ++block) {
      reference.write(grey_block(block));
      queue.add(grey_block(block), {}, [&] { frames_when_stored.push_back(writer_.frames()); });
    }
    queue.finish();
    ASSERT_EQ(writer_.segments().size(), static_cast<size_t>(kBlocks));
  }
  for (size_t i = 0; i < writer_.segments().size(); ++i) {
    EXPECT_EQ(frames_when_stored.at(i), static_cast<int64_t>(i + 1) * kFrames);
    EXPECT_EQ(bytes_of(writer_.segments()[i].file), bytes_of(reference.segments()[i].file)) << i;
  }
}

TEST_P(SegmentQueueTest, ASegmentWaitsForNoOther) {
  std::atomic<bool> stored = false;
  SegmentQueue queue(writer_, GetParam());
  queue.add(grey_block(0), {}, [&] { stored = true; });
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!stored && std::chrono::steady_clock::now() < limit) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(stored);
}

TEST_P(SegmentQueueTest, AnErrorReachesTheCallerAndKeepsTheSegmentsBefore) {
  SegmentQueue queue(writer_, GetParam());
  queue.add(grey_block(0), {});
  queue.finish();
  fs::create_directory(parts_folder(writer_.video()) / "000001.m4s");  // in the way of the next one
  int stored = 0;
  const auto add_more = [&] {
    for (int64_t block = 1; block < 6; ++block) queue.add(grey_block(block), {}, [&] { ++stored; });
    queue.finish();
  };
  EXPECT_THROW(add_more(), MediaError);
  EXPECT_EQ(stored, 0);
  EXPECT_EQ(writer_.segments().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Overlap, SegmentQueueTest, ::testing::Values(Overlap::kOff, Overlap::kOn));

}  // namespace
}  // namespace flashblock::testing
