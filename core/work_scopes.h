// Names for the parts of a transformer pass, as LibTorch's observers see them (RECORD_USER_SCOPE): the profiler's, and
// those of `flashblock bench`. Nobody listens in a video, and a scope then costs some nanoseconds.
#pragma once

namespace flashblock {

inline constexpr const char* kLinearScope = "linear";
/// A softmax attention. By itself it is the cross-attention; in one of those below it is part of that.
inline constexpr const char* kAttentionScope = "attention";
inline constexpr const char* kInternalScope = "internal attention";
inline constexpr const char* kExternalScope = "external attention";  ///< computed or reused, and its merge
inline constexpr const char* kWholeScope = "whole attention";        ///< exact mode: both in one softmax

}  // namespace flashblock
