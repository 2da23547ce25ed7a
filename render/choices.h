// What a prompt leaves open is chosen by the seed, in words: a model file lists phrases for it (`choices`).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/recipe.h"

namespace flashblock {

/// The phrases that `seed` chooses for what `prompt` leaves open. The choices are made in their order, and each sees
/// the phrases chosen before it as part of the prompt. A pure function of its arguments. As many seeds in a row as a
/// choice has phrases, from a multiple of that number on, choose each phrase once.
std::vector<std::string> choose_phrases(const std::vector<Choice>& choices, const std::string& prompt, uint64_t seed);

/// Those of the `phrases` chosen for a video that another of its prompts leaves open, too.
std::vector<std::string> left_open(std::vector<std::string> phrases, const std::string& prompt,
                                   const std::vector<Choice>& choices);

/// `prompt` with `phrases` behind it, a comma before each.
std::string with_phrases(std::string prompt, const std::vector<std::string>& phrases);

}  // namespace flashblock
