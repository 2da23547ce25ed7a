// Writes safetensors files; WeightStore reads them.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace flashblock {

/// Named tensors, ordered.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// The bytes of a safetensors file, as write_tensor_file writes them; for small files.
std::string tensor_file_bytes(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {});

/// Writes a safetensors file atomically (AtomicFile). Data is in the given order, larger element sizes first, so that
/// every tensor is aligned to its element size. Tensors may be on any device and need not be contiguous. Throws:
/// MediaError if it cannot be written; std::logic_error for a duplicate name or an unsupported dtype.
void write_tensor_file(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace flashblock
