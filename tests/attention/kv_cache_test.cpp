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

KvCache make_cache(const KvCacheLayout& layout, AttentionPrecision recent = AttentionPrecision::kNative) {
  return KvCache(layout, 1, 2, 4, at::kCPU, at::kFloat, recent);
}

/// The frames of these tests hold one number each, which 8 bits keep exactly.
class KvCaches : public ::testing::TestWithParam<AttentionPrecision> {
 protected:
  static KvCache make_cache(const KvCacheLayout& layout) { return flashblock::make_cache(layout, GetParam()); }
  static void expect_like_naive(const KvCacheLayout& layout, const std::vector<int64_t>& block_lengths);
};

INSTANTIATE_TEST_SUITE_P(RecentFramesIn, KvCaches,
                         ::testing::Values(AttentionPrecision::kNative, AttentionPrecision::kInt8),
                         [](const auto& precision) { return to_string(precision.param); });

/// What is read part by part.
KeyRange parts_of(const KvCache& cache) {
  std::vector<at::Tensor> keys, values;
  for (int64_t i = 0; i < cache.past_parts(); ++i) {
    const KeyRange part = cache.past_part(i);
    EXPECT_FALSE(part.empty());
    EXPECT_LE(part.tokens(), KvCache::kPartFrames * kTokensPerFrame);
    keys.push_back(part.keys), values.push_back(part.values);
  }
  return {at::cat(keys, 1), at::cat(values, 1)};
}

void KvCaches::expect_like_naive(const KvCacheLayout& layout, const std::vector<int64_t>& block_lengths) {
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
      EXPECT_EQ(cache.past_parts() == 0, naive.past().empty());
      if (!naive.past().empty()) {
        EXPECT_EQ(frames_in(parts_of(cache)), naive.past());
      }
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

TEST_P(KvCaches, AgreesWithANaiveCacheForManyLayouts) {
  for (int64_t block = 1; block <= 4; ++block)
    for (const int64_t sink : {0, 1, 2, 5})
      for (const int64_t ring : {0, 1, 2, 3, 5, 7})
        expect_like_naive({kTokensPerFrame, block, block + sink + ring, sink}, std::vector<int64_t>(9, block));
}

TEST_P(KvCaches, TakesShorterBlocks) {
  expect_like_naive({kTokensPerFrame, 3, 9, 3}, {1, 3, 3, 3, 3, 2});
  expect_like_naive({kTokensPerFrame, 3, 7, 2}, {1, 2, 3, 1, 3, 3, 1});
}

TEST_P(KvCaches, KeepsTheFramesOfTheReferenceTable) {  // window 6, sink 1, block 3
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
TEST_P(KvCaches, KeepsPinnedFramesUntilOthersArePinned) {
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

TEST_P(KvCaches, TellsWhichFramesACommitEvicts) {
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
TEST_P(KvCaches, AttendsToABankBesidesTheWindow) {
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

TEST(KvCache, InEightBitsTakesAQuarterOfFloat32ForTheRing) {
  KvCache cache = make_cache({kTokensPerFrame, 3, 15, 3}, AttentionPrecision::kInt8);
  constexpr int64_t kRow = 2 * 4, kNative = 6, kRing = 9;  // values of a token, frames
  const int64_t native = kNative * kTokensPerFrame * kRow * 4;
  const int64_t codes = kRing * (kTokensPerFrame * (kRow + 2 * 4) + kRow * 4);  // with steps and means
  EXPECT_EQ(cache.bytes(), 2 * (native + codes));
  write_block(cache, 0, 3, 0);
  const void* const address = cache.block().keys.data_ptr();
  cache.commit();
  write_block(cache, 3, 3, 0);
  EXPECT_EQ(cache.block().keys.data_ptr(), address);
  EXPECT_EQ(cache.bytes(), 2 * (native + codes));
}

TEST(KvCache, ReadsALongPastInParts) {
  const KvCacheLayout layout{kTokensPerFrame, 3, 3 + 3 + 2 * KvCache::kPartFrames + 6, 3};
  KvCache cache = make_cache(layout, AttentionPrecision::kInt8);
  for (int64_t block = 0; block < 20; ++block) {
    write_block(cache, 3 * block, 3, 0);
    cache.commit();
  }
  EXPECT_EQ(cache.past_parts(), 4) << "the sink and three of the ring";
  EXPECT_EQ(frames_in(parts_of(cache)), frames_in(cache.past()));
  EXPECT_EQ(make_cache(layout).past_parts(), 0);
}

TEST_P(KvCaches, ReplacesTheKeysOfSinkAndPinnedFramesAlone) {
  KvCache cache = make_cache({kTokensPerFrame, 2, 8, 2});
  for (int64_t block = 0; block < 4; ++block) {
    write_block(cache, 2 * block, 2, 0);
    cache.commit(block == 1 ? 2 : 0);
  }
  const at::Tensor values = cache.past().values.clone();
  cache.replace_sink_keys(at::full_like(cache.sink().keys, 70));
  cache.replace_pinned_keys(at::full_like(cache.pinned().keys, 80));
  EXPECT_TRUE(at::equal(cache.past().values, values));
  std::vector<int64_t> found;
  for (int64_t token = 0; token < values.size(1); token += kTokensPerFrame)
    found.push_back(cache.past().keys.flatten(2)[0][token][0].item<int64_t>());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, (std::vector<int64_t>{6, 7, 70, 70, 80, 80}));
}

TEST_P(KvCaches, ResetDropsAllFrames) {
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
