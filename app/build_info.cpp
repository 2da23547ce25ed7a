#include "app/build_info.h"

#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <nlohmann/json.hpp>

#include "media/video_format.h"

namespace flashblock {

nlohmann::ordered_json build_info() {
  nlohmann::ordered_json info = {{"name", "flashblock"},
                                 {"version", FLASHBLOCK_VERSION},
                                 {"compiler", FLASHBLOCK_COMPILER},
                                 {"build_type", FLASHBLOCK_BUILD_TYPE},
                                 {"libtorch", TORCH_VERSION},
                                 {"media", media_library_versions()}};
#ifdef FLASHBLOCK_CUDA
  info["cuda"] = {{"compiler", FLASHBLOCK_CUDA_COMPILER}, {"architectures", FLASHBLOCK_CUDA_ARCHITECTURES}};
#else
  info["cuda"] = nullptr;
#endif
  return info;
}

}  // namespace flashblock
