#include "weights/gguf_reader.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "weights/gguf_blocks.h"
#include "weights/mapped_tensor.h"

namespace flashblock {
namespace {

constexpr uint64_t kDefaultAlignment = 32, kMostTensors = 1'000'000, kMostPairs = 1'000'000;
constexpr uint32_t kMostDimensions = 5;  // of a patch embedding; ggml itself has four
constexpr int kMostNesting = 3;          // of arrays in arrays
constexpr std::string_view kShapeKey = "comfy.gguf.orig_shape.";

[[noreturn]] void refuse_gguf(const MappedFile& file, const std::string& what) {
  throw WeightsError(file.path().string() + ": " + what +
                     "; the file is damaged or not a GGUF file: download it again");
}

/// Types of metadata values. Source: ggml `docs/gguf.md`, gguf_metadata_value_type.
enum class ValueType : uint32_t { kUint32 = 4, kInt32 = 5, kString = 8, kArray = 9, kUint64 = 10, kInt64 = 11 };

/// Bytes of a number of metadata type `type`; 0 for others.
uint64_t number_bytes(uint32_t type) {
  constexpr uint64_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < std::size(kBytes) ? kBytes[type] : 0;
}

class Cursor {
 public:
  explicit Cursor(const MappedFile& file) : file_(file), bytes_(file.bytes()) {}

  template <typename Number>
  Number number() {
    Number value{};
    std::memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }

  std::string text() {
    const auto length = number<uint64_t>();
    const std::byte* data = take(length);
    return {reinterpret_cast<const char*>(data), static_cast<size_t>(length)};
  }

  const std::byte* take(uint64_t count) {
    if (count > bytes_.size() - position_) refuse_gguf(file_, "its header ends after the file's end");
    const std::byte* data = bytes_.data() + position_;
    position_ += count;
    return data;
  }

  uint64_t position() const { return position_; }

 private:
  const MappedFile& file_;
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
};

struct GgufTensor {
  std::string name;
  std::vector<int64_t> shape;
  const GgufType* type = nullptr;
  uint64_t offset = 0, bytes = 0;
};

class GgufFile {
 public:
  explicit GgufFile(std::shared_ptr<const MappedFile> file) : file_(std::move(file)), cursor_(*file_) {}

  ContainerContents read() {
    cursor_.take(4);  // the magic, by which the file was recognised
    const auto version = cursor_.number<uint32_t>();
    if (version != 2 && version != 3)
      throw WeightsError(file_->path().string() + ": is a GGUF file of version " + std::to_string(version) +
                         "; versions 2 and 3 are supported: convert it again");
    const auto tensors = cursor_.number<uint64_t>(), pairs = cursor_.number<uint64_t>();
    if (tensors > kMostTensors || pairs > kMostPairs) refuse_gguf(*file_, "its header claims too many entries");
    for (uint64_t i = 0; i < pairs; ++i) read_pair();
    std::vector<GgufTensor> list;
    for (uint64_t i = 0; i < tensors; ++i) list.push_back(read_tensor());
    const uint64_t begin = (cursor_.position() + alignment_ - 1) / alignment_ * alignment_;
    for (const GgufTensor& tensor : list) add(tensor, begin);
    return std::move(contents_);
  }

 private:
  void read_pair() {
    const std::string key = cursor_.text();
    const auto type = cursor_.number<uint32_t>();
    if (type == uint32_t(ValueType::kString)) {
      contents_.metadata[key] = cursor_.text();
    } else if (type == uint32_t(ValueType::kArray)) {
      read_array(key, 0);
    } else if (key == "general.alignment" && type == uint32_t(ValueType::kUint32)) {
      alignment_ = cursor_.number<uint32_t>();
      if (alignment_ == 0 || alignment_ % 8 != 0) refuse_gguf(*file_, "its alignment is " + std::to_string(alignment_));
    } else {
      skip_number(type);
    }
  }

  void skip_number(uint32_t type) {
    const uint64_t bytes = number_bytes(type);
    if (bytes == 0) refuse_gguf(*file_, "a metadata value has the unknown type " + std::to_string(type));
    cursor_.take(bytes);
  }

  void read_array(const std::string& key, int depth) {
    const auto type = cursor_.number<uint32_t>();
    const auto count = cursor_.number<uint64_t>();
    if (depth >= kMostNesting || count > file_->bytes().size())
      refuse_gguf(*file_, "the array '" + key + "' is too large");
    const bool shape = key.starts_with(kShapeKey) && type == uint32_t(ValueType::kInt32) && count <= kMostDimensions;
    std::vector<int64_t> sizes;
    for (uint64_t i = 0; i < count; ++i) {
      if (type == uint32_t(ValueType::kString))
        cursor_.text();
      else if (type == uint32_t(ValueType::kArray))
        read_array(key, depth + 1);
      else if (shape)
        sizes.push_back(cursor_.number<int32_t>());
      else
        skip_number(type);
    }
    if (shape) shapes_[key.substr(kShapeKey.size())] = sizes;
  }

  GgufTensor read_tensor() {
    GgufTensor tensor{.name = cursor_.text()};
    const auto dimensions = cursor_.number<uint32_t>();
    if (dimensions > kMostDimensions)
      refuse_gguf(*file_, "tensor '" + tensor.name + "' has " + std::to_string(dimensions) + " dimensions");
    for (uint32_t i = 0; i < dimensions; ++i) tensor.shape.push_back(cursor_.number<int64_t>());
    std::reverse(tensor.shape.begin(), tensor.shape.end());  // fastest first in the file
    const auto type = cursor_.number<uint32_t>();
    tensor.offset = cursor_.number<uint64_t>();
    tensor.type = find_gguf_type(type);
    if (!tensor.type)
      throw WeightsError(file_->path().string() + ": tensor '" + tensor.name + "' has the GGUF type " +
                         std::to_string(type) +
                         ", which is not supported; take a file of F16, BF16, Q8_0, Q6_K, Q5 or Q4 types");
    tensor.bytes = bytes_of(tensor);
    if (const auto found = shapes_.find(tensor.name); found != shapes_.end()) reshape(tensor, found->second);
    return tensor;
  }

  int64_t count_of(const std::string& name, const std::vector<int64_t>& shape) const {
    int64_t count = 1;
    for (const int64_t size : shape)
      if (size < 1 || __builtin_mul_overflow(count, size, &count))
        refuse_gguf(*file_, "the shape of tensor '" + name + "' is empty or overflows");
    return count;
  }

  uint64_t bytes_of(const GgufTensor& tensor) const {
    const int64_t count = count_of(tensor.name, tensor.shape);
    if ((tensor.shape.empty() ? 1 : tensor.shape.back()) % tensor.type->values != 0)
      refuse_gguf(*file_,
                  "the rows of tensor '" + tensor.name + "' are not whole blocks of " + std::string(tensor.type->name));
    int64_t bytes = 0;
    if (__builtin_mul_overflow(count / tensor.type->values, tensor.type->bytes, &bytes))
      refuse_gguf(*file_, "the shape of tensor '" + tensor.name + "' overflows");
    return static_cast<uint64_t>(bytes);
  }

  void reshape(GgufTensor& tensor, const std::vector<int64_t>& shape) const {
    if (count_of(tensor.name, shape) != count_of(tensor.name, tensor.shape))
      refuse_gguf(*file_, "the original shape of tensor '" + tensor.name + "' has another number of values");
    if (tensor.type->unpack && count_of(tensor.name, shape) / shape[0] % tensor.type->values != 0)
      refuse_gguf(*file_, "the original shape of tensor '" + tensor.name + "' cuts blocks");
    tensor.shape = shape;
  }

  void add(const GgufTensor& tensor, uint64_t begin) {
    const auto bytes = file_->bytes();
    if (begin > bytes.size() || tensor.offset > bytes.size() - begin ||
        tensor.bytes > bytes.size() - begin - tensor.offset)
      refuse_gguf(*file_, "the data of tensor '" + tensor.name + "' is outside the file");
    const std::byte* data = bytes.data() + begin + tensor.offset;
    if (!contents_.tensors.emplace(tensor.name, stored(tensor, data)).second)
      refuse_gguf(*file_, "the name '" + tensor.name + "' appears twice");
  }

  StoredTensor stored(const GgufTensor& tensor, const std::byte* data) const {
    const GgufType& type = *tensor.type;
    if (!type.unpack) {
      const at::ScalarType dtype = type.name == "F32" ? at::kFloat : type.name == "F16" ? at::kHalf : at::kBFloat16;
      return mapped_tensor(file_, data, tensor.shape, dtype);
    }
    std::vector<int64_t> rows = tensor.shape;
    rows[0] = -1;
    const auto bytes = static_cast<int64_t>(tensor.bytes);
    StoredTensor packed(mapped_tensor(file_, data, {tensor.shape[0], bytes / tensor.shape[0]}, at::kByte));
    packed.shape = tensor.shape;
    packed.dtype = at::kFloat;
    packed.packing = type.name;
    packed.unpacks_rows = true;
    packed.unpack = [type = &type, rows](const at::Tensor& blocks) {
      return unpack_gguf_blocks(blocks, *type).view(rows);
    };
    return packed;
  }

  std::shared_ptr<const MappedFile> file_;
  Cursor cursor_;
  uint64_t alignment_ = kDefaultAlignment;
  std::map<std::string, std::vector<int64_t>> shapes_;  ///< by tensor
  ContainerContents contents_;
};

}  // namespace

ContainerContents read_gguf(const std::shared_ptr<const MappedFile>& file) { return GgufFile(file).read(); }

}  // namespace flashblock
