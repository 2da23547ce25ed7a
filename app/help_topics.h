// What `flashblock help TOPIC` and the man page say of things that are no option.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace flashblock {

struct HelpEntry {
  std::string name;  ///< "FLASHBLOCK_MODELS", "recipe.steps"
  std::string text;  ///< a sentence, with a full stop
};

struct HelpTopic {
  std::string name;      ///< as the user gives it: "environment"
  std::string heading;   ///< in the man page: "ENVIRONMENT"
  std::string sentence;  ///< what it is about
  std::function<std::vector<HelpEntry>()> entries;
};

/// Topics that are the same on every machine: keys, policies, environment, files, exit-status.
const std::vector<HelpTopic>& help_topics();

/// The text of a topic, of "models" (those found on this machine), or of a key: "recipe.steps", and all keys of a
/// group: "recipe". Empty: there is no such topic.
std::string help_on(const std::string& topic);

/// All words that help_on knows.
std::vector<std::string> help_words();

}  // namespace flashblock
