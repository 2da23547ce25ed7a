// Arithmetic of a decoder.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace flashblock {

enum class DecoderPrecision {
  kNative,  ///< the dtype
  kInt8,    ///< convolutions after a norm in 8-bit integers (int8_convolution.h), else the dtype
};

/// Throws: ConfigError.
DecoderPrecision parse_decoder_precision(std::string_view name);
std::string to_string(DecoderPrecision precision);

/// Whether int8 is fast on a device in a dtype, for a decoder of `width` channels at the size of frames and twice and
/// four times as many below.
bool has_int8_decoder(at::Device device, at::ScalarType dtype, int64_t width);

}  // namespace flashblock
