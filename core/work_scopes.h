// Names of the parts of a transformer pass for LibTorch's observers (RECORD_USER_SCOPE): those of the profiler and of
// `flashblock bench`. A render has no observer, and a scope then costs a few nanoseconds.
#pragma once

namespace flashblock {

inline constexpr const char* kLinearScope = "linear";
/// A softmax attention: cross-attention, or within one of the scopes below a part of that.
inline constexpr const char* kAttentionScope = "attention";
inline constexpr const char* kInternalScope = "internal attention";
inline constexpr const char* kExternalScope = "external attention";  ///< computed or reused, and its merge
inline constexpr const char* kWholeScope = "whole attention";        ///< exact mode: both in one softmax

}  // namespace flashblock
