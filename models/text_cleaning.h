// Cleaning of prompts before they are tokenized, as the published models were trained and run with it.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

/// `text` as the published tokenizer sees it: text repaired, HTML entities resolved twice, every run of Unicode
/// white space one space, none at the ends. Input and result are UTF-8; bytes that are not become U+FFFD.
/// What it does not cover of the published cleaning is listed in docs/text.md.
/// Source: Self-Forcing `wan/modules/tokenizers.py` (`basic_clean`, `whitespace_clean`); what ftfy 6 `fix_text` does.
std::string clean_prompt(std::string_view text);

}  // namespace flashblock
