#include "vae/decoder_precision.h"

#include "core/unknown_name.h"

namespace flashblock {

DecoderPrecision parse_decoder_precision(std::string_view name) {
  for (const DecoderPrecision precision : {DecoderPrecision::kNative, DecoderPrecision::kInt8})
    if (to_string(precision) == name) return precision;
  throw unknown_name("precision", name, "native, int8");
}

std::string to_string(DecoderPrecision precision) { return precision == DecoderPrecision::kInt8 ? "int8" : "native"; }

}  // namespace flashblock
