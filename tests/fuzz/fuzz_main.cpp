// One target as libFuzzer wants it; FLASHBLOCK_FUZZ_TARGET is its name.
#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  flashblock::fuzz::FLASHBLOCK_FUZZ_TARGET({data, size});
  return 0;
}
