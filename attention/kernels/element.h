// The types of element that kernels take.
#pragma once

namespace flashblock {

enum class Element { kFloat32, kBfloat16 };

}  // namespace flashblock
