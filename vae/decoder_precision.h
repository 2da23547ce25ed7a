// Arithmetic of a decoder.
#pragma once

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

}  // namespace flashblock
