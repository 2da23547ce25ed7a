#include "render/precision_text.h"

#include <vector>

#include "attention/int8_attention.h"
#include "core/device.h"
#include "models/int8_linear.h"
#include "settings/strict_yaml.h"
#include "vae/decoder_precision.h"

namespace flashblock {
namespace {

bool has_linears(const TransformerConfig& config, at::Device device, at::ScalarType dtype) {
  return has_int8_linear(device, dtype, config.dim, config.dim) &&
         has_int8_linear(device, dtype, config.dim, config.ffn_dim) &&
         has_int8_linear(device, dtype, config.ffn_dim, config.dim);
}

/// The parts in 8 bits, and what is to be said of them.
struct Parts {
  std::vector<std::string> quantised, native, slower;

  void add(const char* name, const std::string& why_native, bool fast) {
    if (!why_native.empty()) native.push_back(std::string(name) + " (" + why_native + ")");
    if (why_native.empty()) quantised.emplace_back(name);
    if (why_native.empty() && !fast) slower.emplace_back(name);
  }
};

}  // namespace

std::string precision_text(const RenderConfig& config, const ModelSizes& model) {
  const TransformerConfig& transformer = model.transformer;
  const AttentionConfig& attention = config.attention;
  const bool linears = config.precision.linears == LinearPrecision::kInt8;
  const bool internal = attention.internal == AttentionPrecision::kInt8;
  const bool external = attention.external == AttentionPrecision::kInt8;
  const bool kv_cache = attention.kv_cache == AttentionPrecision::kInt8;
  const bool decoder = config.precision.decoder == DecoderPrecision::kInt8;
  if (!linears && !internal && !external && !kv_cache && !decoder) return "";
  const at::Device device = resolve_devices(config.device, config.devices_per_video).front();
  const at::Device decodes = config.decoder_device == "auto" ? device : resolve_device(config.decoder_device);
  const at::ScalarType dtype = resolve_dtype(config.dtype, device);
  const std::string exact = attention.mode == AttentionConfig::Mode::kExact ? "attention is exact" : "";
  const bool attends = has_int8_attention(device, dtype, transformer.dim / transformer.heads);
  Parts parts;
  if (linears) parts.add("linears", "", has_linears(transformer, device, dtype));
  if (internal) parts.add("internal attention", exact, attends);
  if (external) parts.add("external attention", exact, attends);
  if (kv_cache) parts.add("KV cache", "", true);
  if (decoder)
    parts.add("decoder", model.decoder_width == 0 ? "a small one" : "",
              has_int8_decoder(decodes, dtype, model.decoder_width));
  std::string text = parts.quantised.empty() ? "" : joined(parts.quantised) + " in 8 bits";
  if (!parts.native.empty()) text += (text.empty() ? "" : "; ") + joined(parts.native) + " in " + dtype_name(dtype);
  if (!parts.slower.empty())
    text += "; without kernels for it here, so slower than " + dtype_name(dtype) + ": " + joined(parts.slower);
  return text;
}

}  // namespace flashblock
