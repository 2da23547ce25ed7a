// Writes GGUF files, as converters of video models lay them out.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace flashblock::testing {

/// One tensor of a GGUF file: its blocks as they lie there.
struct GgufEntry {
  std::string name;
  std::vector<int64_t> shape;  ///< outermost first
  uint32_t type = 0;           ///< number of the type in the file
  std::string bytes;
};

/// `tensor` in F32, F16, BF16 or Q8_0 (8), rounded to nearest. Requires: rows of whole blocks.
GgufEntry gguf_entry(const std::string& name, const at::Tensor& tensor, uint32_t type);
/// The values that a reader finds in it.
at::Tensor gguf_values(const at::Tensor& tensor, uint32_t type);

/// A file of version 3 with `general.architecture` and more metadata strings, and `shapes` under
/// `comfy.gguf.orig_shape.NAME`.
void write_gguf(const std::filesystem::path& path, const std::vector<GgufEntry>& entries,
                const std::map<std::string, std::string>& metadata = {{"general.architecture", "wan"}},
                const std::map<std::string, std::vector<int32_t>>& shapes = {}, uint32_t alignment = 32);

}  // namespace flashblock::testing
