// The safetensors container: a JSON header, then the data of the tensors.
// Source: https://github.com/huggingface/safetensors, README section "Format".
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/mapped_file.h"
#include "weights/stored_tensor.h"

namespace flashblock {

/// Contents of a container. The data are read-only CPU views into the mapped file, which they keep alive.
struct ContainerContents {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads the header and creates one view per tensor; no tensor data is read.
/// Throws: WeightsError with file, tensor and remedy for a header over 100 MB or outside the file, unknown dtypes,
/// shapes that overflow or do not match their data ranges, ranges that overlap or leave a gap, duplicate names, and
/// anything else that the format does not define.
ContainerContents read_safetensors(const std::shared_ptr<const MappedFile>& file);

/// The format's name of a dtype, such as "BF16"; nullopt for dtypes that it does not support.
std::optional<std::string_view> safetensors_dtype_name(at::ScalarType dtype);
/// The dtype that the format calls `name`; nullopt for other names.
std::optional<at::ScalarType> safetensors_dtype(std::string_view name);

}  // namespace flashblock
