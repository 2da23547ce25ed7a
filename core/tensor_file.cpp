#include "core/tensor_file.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>

#include "core/atomic_file.h"
#include "core/check.h"
#include "core/safetensors_reader.h"

namespace flashblock {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

void write_tensor_file(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const std::pair<std::string, at::Tensor>*> order;
  for (const auto& named : tensors) order.push_back(&named);
  std::stable_sort(order.begin(), order.end(),
                   [](auto* a, auto* b) { return a->second.element_size() > b->second.element_size(); });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::set<std::string> names;
  uint64_t offset = 0;
  for (const auto* named : order) {
    const auto& [name, tensor] = *named;
    const auto dtype = safetensors_dtype_name(tensor.scalar_type());
    FB_CHECK(names.insert(name).second && name != "__metadata__", "the tensor name '", name, "' is not usable");
    FB_CHECK(dtype.has_value(), "safetensors cannot hold ", toString(tensor.scalar_type()));
    header[name] = {
        {"dtype", *dtype}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // keeps the data aligned to 8 bytes

  AtomicFile file(path);
  const uint64_t size = text.size();
  file.write(std::as_bytes(std::span(&size, 1)));
  file.write(text);
  for (const auto* named : order) {
    const at::Tensor data = named->second.detach().to(at::kCPU).contiguous();
    if (data.nbytes() > 0) file.write({static_cast<const std::byte*>(data.const_data_ptr()), data.nbytes()});
  }
  file.commit();
}

}  // namespace flashblock
