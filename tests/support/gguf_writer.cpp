#include "tests/support/gguf_writer.h"

#include <ATen/TensorOperators.h>

#include "tests/support/torch_file_writer.h"

namespace flashblock::testing {
namespace {

template <typename Number>
std::string bits(Number number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

std::string text_value(const std::string& text) { return bits<uint64_t>(text.size()) + text; }

std::string padding(size_t position, uint32_t alignment) {
  return std::string((alignment - position % alignment) % alignment, '\0');
}

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {static_cast<const char*>(whole.const_data_ptr()), whole.nbytes()};
}

/// Blocks of 32 values: [blocks, 1] scales in float16, [blocks, 32] int8.
std::pair<at::Tensor, at::Tensor> q8_0(const at::Tensor& tensor) {
  const at::Tensor blocks = tensor.to(at::kFloat).reshape({-1, 32});
  const at::Tensor scales = (blocks.abs().amax(1, true) / 127).to(at::kHalf);
  return {scales, (blocks / scales.to(at::kFloat).clamp_min(1e-7)).round().clamp(-127, 127).to(at::kChar)};
}

}  // namespace

GgufEntry gguf_entry(const std::string& name, const at::Tensor& tensor, uint32_t type) {
  GgufEntry entry{.name = name, .shape = tensor.sizes().vec(), .type = type};
  if (type != 8) {
    entry.bytes = bytes_of(gguf_values(tensor, type)
                               .to(type == 0   ? at::kFloat
                                   : type == 1 ? at::kHalf
                                               : at::kBFloat16));
    return entry;
  }
  const auto [scales, values] = q8_0(tensor);
  for (int64_t block = 0; block < scales.size(0); ++block)
    entry.bytes += bytes_of(scales[block]) + bytes_of(values[block]);
  return entry;
}

at::Tensor gguf_values(const at::Tensor& tensor, uint32_t type) {
  if (type == 0) return tensor.to(at::kFloat);
  if (type != 8) return tensor.to(type == 1 ? at::kHalf : at::kBFloat16).to(at::kFloat);
  const auto [scales, values] = q8_0(tensor);
  return (values.to(at::kFloat) * scales.to(at::kFloat)).view(tensor.sizes());
}

void write_gguf(const std::filesystem::path& path, const std::vector<GgufEntry>& entries,
                const std::map<std::string, std::string>& metadata,
                const std::map<std::string, std::vector<int32_t>>& shapes, uint32_t alignment) {
  constexpr uint32_t kUint32 = 4, kInt32 = 5, kFloat32 = 6, kString = 8, kArray = 9;
  std::string file =
      "GGUF" + bits<uint32_t>(3) + bits<uint64_t>(entries.size()) + bits<uint64_t>(metadata.size() + shapes.size() + 3);
  file += text_value("general.alignment") + bits(kUint32) + bits(alignment);
  file += text_value("a number") + bits(kFloat32) + bits(0.5F);
  file +=
      text_value("words") + bits(kArray) + bits(kString) + bits<uint64_t>(2) + text_value("one") + text_value("two");
  for (const auto& [key, text] : metadata) file += text_value(key) + bits(kString) + text_value(text);
  for (const auto& [name, shape] : shapes) {
    file += text_value("comfy.gguf.orig_shape." + name) + bits(kArray) + bits(kInt32) + bits<uint64_t>(shape.size());
    for (const int32_t size : shape) file += bits(size);
  }
  std::string data;
  for (const GgufEntry& entry : entries) {
    file += text_value(entry.name) + bits(static_cast<uint32_t>(entry.shape.size()));
    for (auto size = entry.shape.rbegin(); size != entry.shape.rend(); ++size) file += bits(*size);
    file += bits(entry.type) + bits<uint64_t>(data.size());
    data += entry.bytes + padding(data.size() + entry.bytes.size(), alignment);
  }
  write_bytes(path, file + padding(file.size(), alignment) + data);
}

}  // namespace flashblock::testing
