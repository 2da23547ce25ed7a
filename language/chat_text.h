// The chat template of SDAR and TraDo, as code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "language/byte_pair_tokenizer.h"

namespace flashblock {

/// One message of a conversation.
struct ChatMessage {
  enum class Role { kSystem, kUser, kAssistant };
  Role role = Role::kUser;
  std::string content;
};

/// How the answer begins.
enum class Thinking {
  kFree,   ///< the model decides
  kNone,   ///< an empty thought is given: `enable_thinking=false`
  kBegun,  ///< a thought is begun, as TraDo-Thinking was trained
};

/// The text of a conversation up to where the model answers. Of earlier answers the thoughts are left out.
/// Source: chat_template.jinja of SDAR-8B-Chat, without tools.
std::string chat_text(const std::vector<ChatMessage>& messages, Thinking thinking = Thinking::kFree);

/// The same as tokens. Added tokens that a message writes, such as `<|im_end|>`, are plain text: a message cannot end
/// itself. Throws: WeightsError for a tokenizer without the tokens of the template.
std::vector<int64_t> chat_ids(const BytePairTokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                              Thinking thinking = Thinking::kFree);

}  // namespace flashblock
