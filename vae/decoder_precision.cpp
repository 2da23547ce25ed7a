#include "vae/decoder_precision.h"

#include "core/unknown_name.h"
#ifdef FLASHBLOCK_CUDA
#include "vae/int8_convolution_cuda.h"
#include "vae/kernels/quantised_norm.h"
#endif

namespace flashblock {

DecoderPrecision parse_decoder_precision(std::string_view name) {
  for (const DecoderPrecision precision : {DecoderPrecision::kNative, DecoderPrecision::kInt8})
    if (to_string(precision) == name) return precision;
  throw unknown_name("precision", name, "native, int8");
}

std::string to_string(DecoderPrecision precision) { return precision == DecoderPrecision::kInt8 ? "int8" : "native"; }

bool has_int8_decoder(at::Device device, at::ScalarType dtype, int64_t width) {
#ifdef FLASHBLOCK_CUDA
  return device.is_cuda() && dtype == at::kBFloat16 && kernels::quantised_norm_takes(width) &&
         kernels::quantised_norm_takes(4 * width) && cuda::has_int8_convolutions(device);
#else
  return static_cast<void>(device), static_cast<void>(dtype), static_cast<void>(width), false;
#endif
}

}  // namespace flashblock
