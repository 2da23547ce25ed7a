#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <gmock/gmock.h>

#include <array>
#include <cstring>
#include <fstream>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/torch_file_writer.h"
#include "weights/safetensors_reader.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string safetensors_bytes(const std::string& header, size_t data_bytes) {
  const uint64_t size = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + std::string(data_bytes, '\0');
}

TEST(TensorFile, RoundTrips) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"flag", at::ones({3}, at::kBool)},
      {"half", at::rand({2, 3}).to(at::kHalf)},
      {"transposed", at::rand({4, 5}).t()},
      {"bf16", at::rand({7}).to(at::kBFloat16)},
      {"scalar", at::rand({})},
      {"empty", at::empty({0, 4})},
      {"ids", at::arange(5, at::kLong)},
      {"double", at::rand({1, 1, 2}, at::kDouble)},
  };
  write_tensor_file(folder / "t.safetensors", tensors, {{"layout", "any"}, {"quote", "\"\n"}});
  EXPECT_FALSE(std::filesystem::exists(folder / "t.safetensors.part"));
  const auto store = WeightStore::open(folder / "t.safetensors");
  EXPECT_EQ(store->names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TENSORS_IDENTICAL(store->tensor(name), tensor) << name;
  EXPECT_EQ(store->metadata().at("layout"), "any");
  EXPECT_EQ(store->metadata().at("quote"), "\"\n");
}

TEST(TensorFile, RefusesDuplicateNames) {
  const TemporaryFolder folder;
  const at::Tensor one = at::ones({1});
  EXPECT_THROW(write_tensor_file(folder / "t.safetensors", {{"a", one}, {"a", one}}), std::logic_error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, TensorsOutliveTheStoreAndUnalignedOnesAreCopied) {
  const TemporaryFolder folder;
  std::string bytes = safetensors_bytes(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})",
      9);
  const float values[] = {1.5f, -2.0f};
  std::memcpy(bytes.data() + bytes.size() - 8, values, 8);
  write_bytes(folder / "t.safetensors", bytes);
  const at::Tensor tensor = WeightStore::open(folder / "t.safetensors")->tensor("b");
  EXPECT_EQ(tensor[0].item<float>(), 1.5f);
  EXPECT_EQ(tensor[1].item<float>(), -2.0f);
}

struct Hostile {
  const char* what;
  std::string bytes;
  const char* message;
};

class HostileSafetensors : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileSafetensors, IsRefusedWithFileAndReason) {
  const TemporaryFolder folder;
  write_bytes(folder / "hostile.safetensors", GetParam().bytes);
  const std::string text = error_text<WeightsError>([&] { WeightStore::open(folder / "hostile.safetensors"); });
  EXPECT_THAT(text, AllOf(HasSubstr("hostile.safetensors"), HasSubstr(GetParam().message)));
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

std::string one(const std::string& fields, size_t data_bytes = 4) {
  return safetensors_bytes(R"({"a":{)" + fields + "}}", data_bytes);
}
std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

INSTANTIATE_TEST_SUITE_P(
    Table, HostileSafetensors,
    ::testing::Values(
        Hostile{"Empty", "", "is empty"}, Hostile{"Short", "abc", "has only 3 bytes"},
        Hostile{"HugeHeader", std::string(8, '\xff') + "{}", "at most 100000000"},
        Hostile{"HeaderOutside", std::string("\x00\x10\0\0\0\0\0\0", 8) + "{}", "header claims 4096"},
        Hostile{"NotJson", safetensors_bytes("{hello}", 0), "not valid JSON"},
        Hostile{"InvalidUtf8", safetensors_bytes("{\"\xff\xfe\":1}", 0), "not valid JSON"},
        Hostile{"Array", safetensors_bytes("[]", 0), "not a JSON object"},
        Hostile{"OnlyMetadata", safetensors_bytes(R"({"__metadata__":{}})", 0), "holds no tensors"},
        Hostile{"MetadataNumber", safetensors_bytes(R"({"__metadata__":{"a":1}})", 0), "__metadata__"},
        Hostile{"DeepBomb", safetensors_bytes(repeated("[", 1'000'000), 0), "nested too deeply"},
        Hostile{"DeepObjects", safetensors_bytes(repeated(R"({"a":)", 100'000), 0), "nested too deeply"},
        Hostile{"NotAnObject", safetensors_bytes(R"({"a":3})", 0), "is not an object"},
        Hostile{"NoDtype", one(R"("shape":[1],"data_offsets":[0,4])"), "no dtype"},
        Hostile{"UnknownDtype", one(R"("dtype":"F4","shape":[1],"data_offsets":[0,4])"), "dtype 'F4'"},
        Hostile{"NegativeShape", one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "non-negative integers"},
        Hostile{"FractionShape", one(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), "non-negative integers"},
        Hostile{"NanOffset", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,NaN])"), "not valid JSON"},
        Hostile{"HugeNumber", one(R"("dtype":"F32","shape":[1e400],"data_offsets":[0,4])"), "not valid JSON"},
        Hostile{"ShapeOverflow", one(R"("dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,4])"),
                "shape overflows"},
        Hostile{"EmptyShapeOverflow",
                one(R"("dtype":"F32","shape":[0,9223372036854775807,9223372036854775807],"data_offsets":[0,0])", 0),
                "shape overflows"},
        Hostile{"OneOffset", one(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), "outside the file"},
        Hostile{"BackwardOffsets", one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), "outside the file"},
        Hostile{"OffsetOutside", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), "outside the file"},
        Hostile{"WrongSize", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), "needs 8 bytes"},
        Hostile{"Tail", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])", 8), "4 bytes of data belong to no"},
        Hostile{"Hole", one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])", 8), "gap"},
        Hostile{"Overlap",
                safetensors_bytes(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                  R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                                  12),
                "overlaps"},
        Hostile{"DuplicateName",
                safetensors_bytes(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                  R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                  8),
                "appears twice"},
        Hostile{"LfsPointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git lfs pull"},
        Hostile{"WebPage", "<!DOCTYPE html><html></html>", "web page"},
        Hostile{"Gguf", "GGUF\x03\0\0\0aaaaaaaaaaaaaaaa", "GGUF"},
        Hostile{"LegacyPickle", "\x80\x02\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "legacy format"}),
    [](const auto& info) { return std::string(info.param.what); });

// The length of the header, which a file begins with, can have the bytes of a pickle: 640 is 80 02.
TEST(Safetensors, AHeaderOfAnyLengthIsNotTakenForAPickle) {
  const TemporaryFolder folder;
  int alike = 0;
  for (int length = 500; length < 700; ++length) {
    write_tensor_file(folder / "w.safetensors", {{"a", at::ones({2})}}, {{"note", std::string(size_t(length), 'x')}});
    std::ifstream stream(folder / "w.safetensors", std::ios::binary);
    if (stream.get() == 0x80 && stream.get() == 0x02) ++alike;
    EXPECT_NO_THROW(WeightStore::open(folder / "w.safetensors")) << length;
  }
  EXPECT_GT(alike, 0);
}

// Every truncation and every damaged byte of a valid file: rejected or read, never a crash.
TEST(Safetensors, SurvivesTruncationAndDamageEverywhere) {
  const TemporaryFolder folder;
  const auto path = folder / "t.safetensors";
  write_tensor_file(path, {{"a", at::ones({2, 3})}, {"b", at::ones({5}, at::kHalf)}}, {{"k", "v"}});
  const std::string bytes = read_bytes(path);
  for (size_t size = 0; size < bytes.size(); ++size) {
    write_bytes(path, bytes.substr(0, size));
    EXPECT_THROW(WeightStore::open(path), WeightsError) << size;
  }
  const size_t header_end = bytes.size() - 34;
  for (size_t at = 0; at < header_end; ++at) {
    for (const int flip : {0x01, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      write_bytes(path, damaged);
      try {
        WeightStore::open(path);
      } catch (const WeightsError&) {
      }
    }
  }
}

}  // namespace
}  // namespace flashblock::testing
