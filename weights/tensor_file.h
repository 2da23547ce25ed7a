// Writing tensors to a safetensors file. Reading is WeightStore.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace flashblock {

/// Tensors by name, in an order.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// The bytes of a safetensors file, as write_tensor_file writes them: for files that are small.
std::string tensor_file_bytes(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {});

/// Writes a safetensors file atomically (AtomicFile). The data is laid out in the order given, larger elements first,
/// so that every tensor is aligned to its elements. Tensors may be on any device and need not be contiguous. Throws:
/// MediaError if it cannot be written; std::logic_error for a name given twice or a dtype the format lacks.
void write_tensor_file(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace flashblock
