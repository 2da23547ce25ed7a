// Cleans prompts before tokenization, as in training and inference of the published models.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

/// `text` as the published tokenizer receives it: text repaired, HTML entities resolved twice, runs of Unicode white
/// space replaced by one space and stripped at both ends. Input and result are UTF-8; invalid bytes become U+FFFD.
/// docs/text.md lists what it does not cover of the published cleaning.
/// Source: Self-Forcing `wan/modules/tokenizers.py` (`basic_clean`, `whitespace_clean`); ftfy 6 `fix_text`.
std::string clean_prompt(std::string_view text);

}  // namespace flashblock
