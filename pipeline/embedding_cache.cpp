#include "pipeline/embedding_cache.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <torch/headeronly/version.h>

#include <span>
#include <sstream>

#include "core/device.h"
#include "core/error.h"
#include "core/file_identity.h"
#include "core/sha256.h"
#include "weights/tensor_file.h"

namespace flashblock {
namespace {

/// Changes whenever the encoder's computation or the layout of the files changes.
constexpr char kFormat[] = "flashblock text embedding 1";

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

std::string digest_of(const at::Tensor& tensor) {
  Sha256 hash;
  hash.update(bytes_of(tensor));
  return hash.finish();
}

/// Rows up to the last token.
int64_t used_rows(const at::Tensor& mask) {
  const at::Tensor used = mask[0].ne(0);
  int64_t rows = used.size(0);
  while (rows > 0 && !used[rows - 1].item<bool>()) --rows;
  return rows;
}

}  // namespace

EmbeddingCache::EmbeddingCache(FileCache files, const WeightStore& encoder, at::Device device, at::ScalarType dtype)
    : files_(std::move(files)), device_(device), dtype_(dtype) {
  std::ostringstream origin;
  origin << kFormat << '\n'
         << TORCH_VERSION << ' ' << describe_device(device) << ' ' << at::get_num_threads() << ' ' << dtype_name(dtype)
         << '\n'
         << encoder.entry() << '\n';
  for (const std::filesystem::path& file : encoder.files()) origin << file_identity(file) << '\n';
  origin_ = origin.str();
}

std::string EmbeddingCache::key(const EncodedPrompt& prompt) const {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(origin_)));
  hash.update(bytes_of(prompt.ids.contiguous()));
  hash.update(bytes_of(prompt.mask.contiguous()));
  return hash.finish();
}

at::Tensor EmbeddingCache::find(const EncodedPrompt& prompt) const {
  const std::filesystem::path file = files_.find(key(prompt));
  if (file.empty()) return {};
  try {
    const auto store = WeightStore::open(file);
    const at::Tensor rows = store->tensor("embedding");
    const auto digest = store->metadata().find("sha256");
    const bool whole = rows.dim() == 2 && rows.scalar_type() == dtype_ && rows.size(0) == used_rows(prompt.mask) &&
                       digest != store->metadata().end() && digest->second == digest_of(rows);
    if (!whole) return {};
    at::Tensor embedding = at::zeros({1, prompt.ids.size(1), rows.size(1)}, rows.options());
    embedding[0].narrow(0, 0, rows.size(0)).copy_(rows);
    return embedding.to(device_);
  } catch (const Error&) {  // damaged: encoded again
    return {};
  }
}

void EmbeddingCache::put(const EncodedPrompt& prompt) const {
  const at::Tensor rows = prompt.embedding[0].narrow(0, 0, used_rows(prompt.mask)).cpu().contiguous();
  files_.put(key(prompt), [&](const std::filesystem::path& file) {
    write_tensor_file(file, {{"embedding", rows}}, {{"sha256", digest_of(rows)}});
  });
}

}  // namespace flashblock
