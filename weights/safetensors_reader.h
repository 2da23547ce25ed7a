// The safetensors container: a JSON header and the tensors' bytes, one after the other.
// Source: https://github.com/huggingface/safetensors, README section "Format".
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/mapped_file.h"

namespace flashblock {

/// What a container holds. The tensors are CPU views into the mapped file, which they keep alive; do not write to them.
struct ContainerContents {
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads the header and makes one view per tensor; no tensor data is touched.
/// Refused: a header over 100 MB or outside the file, unknown dtypes, shapes that overflow or disagree with their byte
/// ranges, ranges that overlap or leave a hole, duplicate names, anything the format does not know.
/// Throws: WeightsError naming the file, the tensor and what to do.
ContainerContents read_safetensors(const std::shared_ptr<const MappedFile>& file);

/// The format's name of a dtype, such as "BF16"; nothing for dtypes it cannot hold.
std::optional<std::string_view> safetensors_dtype_name(at::ScalarType dtype);
/// The dtype that the format calls `name`; nothing for names it does not know.
std::optional<at::ScalarType> safetensors_dtype(std::string_view name);

}  // namespace flashblock
