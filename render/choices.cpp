#include "render/choices.h"

#include <algorithm>
#include <cstddef>

#include "render/timeline_text.h"

namespace flashblock {
namespace {

/// Behind the last word of the prompt, so that no full stop stands before the comma.
std::string appended(const std::string& prompt, const std::string& phrase) {
  return prompt.substr(0, prompt.find_last_not_of(" \t\n.,;:!?") + 1) + ", " + phrase;
}

bool is_told(const Choice& choice, const std::string& prompt) { return has_word_of(prompt, choice.unless); }

bool applies(const Choice& choice, const std::string& prompt) {
  return !is_told(choice, prompt) && (choice.when.empty() || has_word_of(prompt, choice.when));
}

/// Scatters all bits. Source: Vigna, SplitMix64.
uint64_t mix(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
  return bits ^ (bits >> 31);
}

/// A number below `count`: all of them in turn for `count` seeds in a row, from one that this choice and these seeds
/// have.
size_t chosen_index(uint64_t seed, size_t choice, size_t count) {
  return (mix(mix(seed / count + 1) + choice + 1) % count + seed % count) % count;
}

}  // namespace

std::vector<std::string> choose_phrases(const std::vector<Choice>& choices, const std::string& prompt, uint64_t seed) {
  std::vector<std::string> chosen;
  std::string text = prompt;
  for (size_t i = 0; i < choices.size(); ++i) {
    const Choice& choice = choices[i];
    if (!applies(choice, text)) continue;
    chosen.push_back(choice.phrases[chosen_index(seed, i, choice.phrases.size())]);
    text = appended(text, chosen.back());
  }
  return chosen;
}

std::vector<std::string> left_open(std::vector<std::string> phrases, const std::string& prompt,
                                   const std::vector<Choice>& choices) {
  std::erase_if(phrases, [&](const std::string& phrase) {
    bool told = false, open = false;  // of several choices with the phrase, one may be told and another one open
    for (const Choice& choice : choices) {
      if (std::find(choice.phrases.begin(), choice.phrases.end(), phrase) == choice.phrases.end()) continue;
      told = told || is_told(choice, prompt);
      open = open || applies(choice, prompt);
    }
    return told && !open;
  });
  return phrases;
}

std::string with_phrases(std::string prompt, const std::vector<std::string>& phrases) {
  for (const std::string& phrase : phrases) prompt = appended(prompt, phrase);
  return prompt;
}

}  // namespace flashblock
