// The split of a text into the parts within which a byte-pair tokenizer merges.
#pragma once

#include <string_view>
#include <vector>

namespace flashblock {

/// The published pattern of Qwen's tokenizer, which split_text scans without a regular expression.
inline constexpr const char* kSplitPattern =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)re"
    R"re(|\s+(?!\S)|\s+)re";

/// The parts of `text` in order, which together are the whole text; none is empty.
std::vector<std::u32string_view> split_text(std::u32string_view text);

}  // namespace flashblock
