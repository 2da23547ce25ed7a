// Element types of the kernels.
#pragma once

namespace flashblock {

enum class Element { kFloat32, kBfloat16 };

}  // namespace flashblock
