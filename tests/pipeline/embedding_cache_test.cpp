#include "pipeline/embedding_cache.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "weights/tensor_file.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

class EmbeddingCacheTest : public ::testing::Test {
 protected:
  void SetUp() override { write_encoder("umt5.safetensors", 1); }

  void write_encoder(const std::string& name, double value) const {
    write_tensor_file(folder_ / name, {{"weight", at::tensor({value})}});
  }
  EmbeddingCache cache(const std::string& encoder = "umt5.safetensors", at::ScalarType dtype = at::kFloat) const {
    return EmbeddingCache(FileCache(folder_ / "cache", 1 << 20), *WeightStore::open(folder_ / encoder), at::kCPU,
                          dtype);
  }
  /// Two tokens, `</s>` and padding; zero rows for the padding, as the encoder returns.
  static EncodedPrompt prompt(int64_t first, at::ScalarType dtype = at::kFloat) {
    EncodedPrompt result{.ids = at::tensor({first, int64_t{7}, int64_t{1}, int64_t{0}, int64_t{0}}).unsqueeze(0),
                         .mask = at::tensor({1, 1, 1, 0, 0}, at::kLong).unsqueeze(0),
                         .embedding = at::rand({1, 5, 8}).to(dtype)};
    result.embedding.narrow(1, 3, 2).zero_();
    return result;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_ / "cache")) found.push_back(entry.path());
    return found;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(EmbeddingCacheTest, GivesTheSameBitsBack) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const EncodedPrompt first = prompt(5, dtype), second = prompt(6, dtype);
    EXPECT_FALSE(cache("umt5.safetensors", dtype).find(first).defined());
    cache("umt5.safetensors", dtype).put(first);
    cache("umt5.safetensors", dtype).put(second);
    EXPECT_TENSORS_IDENTICAL(cache("umt5.safetensors", dtype).find(first), first.embedding);
    EXPECT_TENSORS_IDENTICAL(cache("umt5.safetensors", dtype).find(second), second.embedding);
  }
}

TEST_F(EmbeddingCacheTest, KeyContainsWhatTheBitsDependOn) {
  const EncodedPrompt known = prompt(5);
  cache().put(known);
  write_encoder("other.safetensors", 1);
  EXPECT_FALSE(cache("other.safetensors").find(known).defined()) << "another file";
  EXPECT_FALSE(cache("umt5.safetensors", at::kBFloat16).find(known).defined()) << "another dtype";
  EncodedPrompt masked = known;
  masked.mask = at::tensor({1, 1, 0, 0, 0}, at::kLong).unsqueeze(0);
  EXPECT_FALSE(cache().find(masked).defined()) << "another mask";
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 1);
  EXPECT_FALSE(cache().find(known).defined()) << "another number of threads";
  at::set_num_threads(threads);
  EXPECT_TRUE(cache().find(known).defined());
  write_encoder("umt5.safetensors", 2);
  EXPECT_FALSE(cache().find(known).defined()) << "the encoder was replaced";
}

TEST_F(EmbeddingCacheTest, IgnoresDamagedFiles) {
  const EncodedPrompt known = prompt(5);
  cache().put(known);
  ASSERT_EQ(files().size(), 1u);
  const fs::path file = files().front();
  const auto size = static_cast<std::streamoff>(fs::file_size(file));
  for (const std::streamoff place : {std::streamoff{0}, std::streamoff{20}, size - 2}) {
    cache().put(known);
    {
      std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekg(place);
      const auto flipped = static_cast<char>(stream.get() ^ 0x40);
      stream.seekp(place);
      stream.put(flipped);
    }
    EXPECT_FALSE(cache().find(known).defined()) << place;
  }
  fs::resize_file(file, 0);
  EXPECT_FALSE(cache().find(known).defined());
  cache().put(known);
  EXPECT_TENSORS_IDENTICAL(cache().find(known), known.embedding);
}

}  // namespace
}  // namespace flashblock
