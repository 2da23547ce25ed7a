#include "app/resume_command.h"

#include <sstream>

namespace flashblock {

std::string shell_word(const std::string& text) {
  const std::string plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string resume_command(const RenderConfig& config) {
  std::ostringstream command;
  command << "flashblock render --resume --output " << shell_word(config.output.string());
  if (config.metadata) return command.str();
  // The prompts are not stored with the video.
  if (!config.prompt.empty()) command << " --prompt " << shell_word(config.prompt);
  for (const PromptChange& change : config.timeline) {
    std::ostringstream text;
    text << change.seconds << "=" << change.prompt;
    command << " --prompt-at " << shell_word(text.str());
  }
  if (!config.model.recipe.negative_prompt.empty()) {
    command << " --set " << shell_word("recipe.negative_prompt=" + config.model.recipe.negative_prompt);
  }
  return command.str();
}

}  // namespace flashblock
