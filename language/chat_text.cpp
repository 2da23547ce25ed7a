#include "language/chat_text.h"

#include <string_view>

#include "core/error.h"

namespace flashblock {
namespace {

/// A part of the template: an added token, or text, which may be a user's.
struct ChatPart {
  bool added = false;
  std::string text;
};

std::string name_of(ChatMessage::Role role) {
  switch (role) {
    case ChatMessage::Role::kSystem:
      return "system";
    case ChatMessage::Role::kUser:
      return "user";
    case ChatMessage::Role::kAssistant:
      return "assistant";
  }
  return {};
}

// An answer without the thought before it.
std::string without_thought(const std::string& answer) {
  constexpr std::string_view kEnd = "</think>";
  const size_t end = answer.rfind(kEnd);
  if (end == std::string::npos) return answer;
  const size_t first = answer.find_first_not_of('\n', end + kEnd.size());
  return first == std::string::npos ? "" : answer.substr(first);
}

std::vector<ChatPart> chat_parts(const std::vector<ChatMessage>& messages, Thinking thinking) {
  std::vector<ChatPart> parts;
  for (const ChatMessage& message : messages) {
    const bool answer = message.role == ChatMessage::Role::kAssistant;
    parts.push_back({true, "<|im_start|>"});
    parts.push_back(
        {false, name_of(message.role) + "\n" + (answer ? without_thought(message.content) : message.content)});
    parts.push_back({true, "<|im_end|>"});
    parts.push_back({false, "\n"});
  }
  parts.push_back({true, "<|im_start|>"});
  parts.push_back({false, thinking == Thinking::kBegun ? "assistant" : "assistant\n"});
  if (thinking != Thinking::kFree) parts.push_back({true, "<think>"});
  if (thinking == Thinking::kBegun) parts.push_back({false, "\n"});
  if (thinking == Thinking::kNone) {
    parts.push_back({false, "\n\n"});
    parts.push_back({true, "</think>"});
    parts.push_back({false, "\n\n"});
  }
  return parts;
}

}  // namespace

std::string chat_text(const std::vector<ChatMessage>& messages, Thinking thinking) {
  std::string text;
  for (const ChatPart& part : chat_parts(messages, thinking)) text += part.text;
  return text;
}

std::vector<int64_t> chat_ids(const BytePairTokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                              Thinking thinking) {
  std::vector<int64_t> ids;
  for (const ChatPart& part : chat_parts(messages, thinking)) {
    if (!part.added) {
      const auto encoded = tokenizer.encode(part.text);
      ids.insert(ids.end(), encoded.begin(), encoded.end());
      continue;
    }
    const auto id = tokenizer.added_token(part.text);
    if (!id) throw WeightsError("the tokenizer has no token " + part.text + ", which the chat template needs");
    ids.push_back(*id);
  }
  return ids;
}

}  // namespace flashblock
