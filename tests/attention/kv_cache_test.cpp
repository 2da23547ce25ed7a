// The ring cache against a cache that concatenates, sorts and cuts, as the reference's rolling buffer does.
#include "attention/kv_cache.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"

namespace flashblock {
namespace {

constexpr int64_t kTokensPerFrame = 2;

// What the reference keeps: frame numbers in order of time. Source: wan-reference, KV cache writing, rolling, sink.
class NaiveCache {
 public:
  explicit NaiveCache(const KvCacheLayout& layout) : layout_(layout) {}

  // Frames seen besides the block of `frames` frames that begins now.
  std::vector<int64_t> past() const {
    std::vector<int64_t> visible = frames_;
    const int64_t room = layout_.window_frames - layout_.frames_per_block;
    while (int64_t(visible.size()) > room) visible.erase(visible.begin() + layout_.sink_frames);
    return visible;
  }

  void append(int64_t first, int64_t frames) {
    frames_ = past();
    for (int64_t i = 0; i < frames; ++i) frames_.push_back(first + i);
  }

 private:
  KvCacheLayout layout_;
  std::vector<int64_t> frames_;
};

// Keys of a frame all hold its number, values its negative; returns the numbers found, sorted, each frame checked
// whole.
std::vector<int64_t> frames_in(const KeyRange& range) {
  EXPECT_EQ(range.keys.size(1) % kTokensPerFrame, 0);
  EXPECT_TRUE(at::equal(range.keys, -range.values));
  std::vector<int64_t> frames;
  for (int64_t token = 0; token < range.tokens(); token += kTokensPerFrame) {
    const at::Tensor frame = range.keys.narrow(1, token, kTokensPerFrame);
    frames.push_back(frame.flatten()[0].item<int64_t>());
    EXPECT_TRUE((frame == frames.back()).all().item<bool>());
  }
  std::sort(frames.begin(), frames.end());
  return frames;
}

void write_block(KvCache& cache, int64_t first, int64_t frames, int64_t offset) {
  const KeyRange staged = cache.stage(frames);
  for (int64_t i = 0; i < frames; ++i) {
    staged.keys.narrow(1, i * kTokensPerFrame, kTokensPerFrame).fill_(double(first + i + offset));
    staged.values.narrow(1, i * kTokensPerFrame, kTokensPerFrame).fill_(double(-(first + i + offset)));
  }
}

KvCache make_cache(const KvCacheLayout& layout) { return KvCache(layout, 1, 2, 4, at::kCPU, at::kFloat); }

void expect_like_naive(const KvCacheLayout& layout, const std::vector<int64_t>& block_lengths) {
  SCOPED_TRACE("window " + std::to_string(layout.window_frames) + ", sink " + std::to_string(layout.sink_frames) +
               ", block " + std::to_string(layout.frames_per_block));
  KvCache cache = make_cache(layout);
  NaiveCache naive(layout);
  int64_t first = 0;
  for (const int64_t length : block_lengths) {
    for (const int64_t offset : {1000, 0}) {  // two passes over the block: the second one's keys replace the first's
      write_block(cache, first, length, offset);
      EXPECT_EQ(frames_in(cache.past()), naive.past());
      EXPECT_EQ(cache.past_frames(), int64_t(naive.past().size()));
      std::vector<int64_t> all = naive.past();
      for (int64_t i = 0; i < length; ++i) all.push_back(first + i + offset);
      std::sort(all.begin(), all.end());
      EXPECT_EQ(frames_in(cache.all()), all);
    }
    cache.commit();
    naive.append(first, length);
    first += length;
    EXPECT_EQ(cache.committed_frames(), first);
    EXPECT_EQ(cache.evicted_frames(), first - int64_t(naive.past().size()));
  }
}

TEST(KvCache, AgreesWithANaiveCacheForManyLayouts) {
  for (int64_t block = 1; block <= 4; ++block)
    for (const int64_t sink : {0, 1, 2, 5})
      for (const int64_t ring : {0, 1, 2, 3, 5, 7})
        expect_like_naive({kTokensPerFrame, block, block + sink + ring, sink}, std::vector<int64_t>(9, block));
}

TEST(KvCache, TakesShorterBlocks) {
  expect_like_naive({kTokensPerFrame, 3, 9, 3}, {1, 3, 3, 3, 3, 2});
  expect_like_naive({kTokensPerFrame, 3, 7, 2}, {1, 2, 3, 1, 3, 3, 1});
}

TEST(KvCache, KeepsTheFramesOfTheReferenceTable) {  // window 6, sink 1, block 3
  KvCache cache = make_cache({kTokensPerFrame, 3, 6, 1});
  const std::vector<std::vector<int64_t>> visible{
      {0, 1, 2}, {0, 1, 2, 3, 4, 5}, {0, 4, 5, 6, 7, 8}, {0, 7, 8, 9, 10, 11}};
  for (int64_t block = 0; block < int64_t(visible.size()); ++block) {
    write_block(cache, 3 * block, 3, 0);
    EXPECT_EQ(frames_in(cache.all()), visible[size_t(block)]);
    cache.commit();
  }
}

// A block that is pinned stays while the ring rolls, until another one is; then it is the next to go. Source: LongLive
// 2, whose order by time is kept here: the oldest frame that is not pinned is evicted.
TEST(KvCache, KeepsPinnedFramesUntilOthersArePinned) {
  constexpr int64_t kBlock = 2, kSink = 2, kRing = 4;
  KvCache cache = make_cache({kTokensPerFrame, kBlock, kSink + kBlock + kRing, kSink});
  std::vector<int64_t> ring, pinned;
  for (int64_t block = 0; block < 12; ++block) {
    const bool cut = block == 3 || block == 8;
    const int64_t first = kBlock * block;
    write_block(cache, first, kBlock, 0);
    std::vector<int64_t> past = ring;
    if (block > 0) past.insert(past.begin(), {0, 1});
    EXPECT_EQ(frames_in(cache.past()), past) << "block " << block;
    EXPECT_EQ(frames_in(cache.pinned()), pinned) << "block " << block;
    cache.commit(cut ? kBlock : 0);
    if (block == 0) continue;
    if (cut) pinned = {first, first + 1};
    for (int64_t i = 0; i < kBlock; ++i) ring.push_back(first + i);
    while (int64_t(ring.size()) > kRing)
      ring.erase(std::find_if(ring.begin(), ring.end(), [&](int64_t frame) {
        return std::find(pinned.begin(), pinned.end(), frame) == pinned.end();
      }));
  }
  EXPECT_EQ(pinned, (std::vector<int64_t>{16, 17}));
}

TEST(KvCache, TellsWhichFramesACommitEvicts) {
  KvCache cache = make_cache({kTokensPerFrame, 3, 12, 3});
  for (int64_t block = 0; block < 7; ++block) {
    write_block(cache, 3 * block, 3, 0);
    const std::vector<int64_t> before = frames_in(cache.past()), leaving = frames_in(cache.leaving());
    cache.commit();
    EXPECT_EQ(leaving.empty(), block < 3);
    for (const int64_t frame : before) {
      const std::vector<int64_t> after = frames_in(cache.past());
      const bool stays = std::find(after.begin(), after.end(), frame) != after.end();
      EXPECT_NE(stays, std::find(leaving.begin(), leaving.end(), frame) != leaving.end()) << frame;
    }
  }
}

// The bank is part of the past, contiguous with sink and block however full it is, and outlives both.
TEST(KvCache, AttendsToABankBesidesTheWindow) {
  KvCache cache = make_cache({kTokensPerFrame, 3, 9, 3, 2});
  const auto frame = [](double number) {
    const at::Tensor keys = at::full({1, kTokensPerFrame, 2, 4}, number);
    return KeyRange{keys, -keys};
  };
  std::vector<int64_t> bank;
  for (int64_t block = 0; block < 6; ++block) {
    if (block == 1 || block == 3) {
      bank.push_back(100 + block);
      cache.add_to_bank(frame(double(bank.back())));
    }
    write_block(cache, 3 * block, 3, 0);
    std::vector<int64_t> past;
    for (int64_t i = 0; i < std::min<int64_t>(3 * block, 3); ++i) past.push_back(i);
    if (block > 1) past.insert(past.end(), {3 * block - 3, 3 * block - 2, 3 * block - 1});
    past.insert(past.end(), bank.begin(), bank.end());
    EXPECT_EQ(frames_in(cache.past()), past);
    EXPECT_EQ(frames_in(cache.bank()), bank);
    past.insert(past.end(), {3 * block, 3 * block + 1, 3 * block + 2});
    std::sort(past.begin(), past.end());
    EXPECT_EQ(frames_in(cache.all()), past);
    cache.commit();
  }
  EXPECT_EQ(int64_t(cache.bank().keys.flatten()[0].item<float>()), 103) << "the latest one first";
  cache.evict_ring();
  EXPECT_EQ(frames_in(cache.past()), (std::vector<int64_t>{0, 1, 2, 101, 103}));
  cache.evict_all();
  EXPECT_EQ(frames_in(cache.past()), bank);
  cache.reset();
  EXPECT_TRUE(cache.past().empty());
}

TEST(KvCache, MovesNothingAndAllocatesNothing) {
  KvCache cache = make_cache({kTokensPerFrame, 3, 9, 3});
  const void* address = nullptr;
  for (int64_t block = 0; block < 8; ++block) {
    write_block(cache, 3 * block, 3, 0);
    if (address) {
      EXPECT_EQ(cache.block().keys.data_ptr(), address);
    }
    address = cache.block().keys.data_ptr();
    EXPECT_EQ(cache.bytes(), 2 * 9 * kTokensPerFrame * 2 * 4 * int64_t(sizeof(float)));
    cache.commit();
  }
}

TEST(KvCache, ResetDropsAllFrames) {
  KvCache cache = make_cache({kTokensPerFrame, 3, 9, 3});
  write_block(cache, 0, 3, 0);
  cache.commit();
  cache.reset();
  write_block(cache, 0, 3, 0);
  EXPECT_TRUE(cache.past().empty());
  EXPECT_EQ(frames_in(cache.all()), (std::vector<int64_t>{0, 1, 2}));
}

TEST(KvCache, RefusesAWindowWithoutRoomForSinkAndBlock) {
  try {
    make_cache({kTokensPerFrame, 3, 5, 3});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("at least 6"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace flashblock
