// A timeline as a language model writes it: lines `SECONDS: prompt`.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "settings/render_config.h"

namespace flashblock {

/// The prompts of a text, by rising time, the first at 0. Lenient: times may be written `12`, `12s`, `00:12`, `[12]`,
/// `12-20` or `**12 s**`, behind a dash or a star; lines of another form are passed over, and of two prompts for one
/// time the first one counts. Empty if no line holds a prompt.
std::vector<PromptChange> parse_timeline(std::string_view text);

/// The words of `text`, lower-case letters alone, that are neither in `known` nor a plural, a possessive or, from six
/// letters on, one typing error away from a word in it. Each once, in order. Words of other scripts are passed over.
std::vector<std::string> unknown_words(std::string_view text, const std::set<std::string>& known);

/// Whether one of the `words` is in `text`, or what unknown_words takes for one of them.
bool has_word_of(std::string_view text, const std::set<std::string>& words);

/// For messages: 'a', 'b' and 'c'; 'a', 'b', 'c', 'd', 'e' and 3 others.
std::string quoted(const std::vector<std::string>& words);

}  // namespace flashblock
