#include "weights/tensor_file.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "core/atomic_file.h"
#include "core/check.h"
#include "core/html_page.h"
#include "weights/safetensors_reader.h"

namespace flashblock {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

namespace {

using Metadata = std::map<std::string, std::string>;
using Order = std::vector<const std::pair<std::string, at::Tensor>*>;

/// Larger element sizes first.
Order file_order(const NamedTensors& tensors) {
  Order order;
  for (const auto& named : tensors) order.push_back(&named);
  std::stable_sort(order.begin(), order.end(),
                   [](auto* a, auto* b) { return a->second.element_size() > b->second.element_size(); });
  return order;
}

/// Everything before the data: the header's length and the header.
std::string file_header(const Order& order, const Metadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::set<std::string> names;
  uint64_t offset = 0;
  for (const auto* named : order) {
    const auto& [name, tensor] = *named;
    const auto dtype = safetensors_dtype_name(tensor.scalar_type());
    FB_CHECK(names.insert(name).second && name != "__metadata__", "the tensor name '", name,
             "' is reserved or used twice");
    FB_CHECK(dtype.has_value(), "safetensors cannot hold ", toString(tensor.scalar_type()));
    header[name] = {
        {"dtype", *dtype}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text = json_line(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // keeps the data aligned to 8 bytes
  const uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + text;
}

/// Passes the file's bytes to `write`, tensor by tensor.
template <typename Write>
void put_file(const NamedTensors& tensors, const Metadata& metadata, const Write& write) {
  const Order order = file_order(tensors);
  const std::string header = file_header(order, metadata);
  write(std::as_bytes(std::span(header)));
  for (const auto* named : order) {
    const at::Tensor data = named->second.detach().to(at::kCPU).contiguous();
    if (data.nbytes() > 0) write(std::span(static_cast<const std::byte*>(data.const_data_ptr()), data.nbytes()));
  }
}

}  // namespace

std::string tensor_file_bytes(const NamedTensors& tensors, const Metadata& metadata) {
  std::string bytes;
  put_file(tensors, metadata, [&](std::span<const std::byte> part) {
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  return bytes;
}

void write_tensor_file(const std::filesystem::path& path, const NamedTensors& tensors, const Metadata& metadata) {
  AtomicFile file(path);
  put_file(tensors, metadata, [&](std::span<const std::byte> part) { file.write(part); });
  file.commit();
}

}  // namespace flashblock
