#include "models/tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/check.h"
#include "core/error.h"
#include "core/plain_text.h"
#include "models/text_cleaning.h"

namespace flashblock {
namespace {

/// The first words of a text in tokens.
std::string first_words(const sentencepiece::SentencePieceProcessor& processor, std::vector<int> tokens) {
  constexpr size_t kMostTokens = 24, kMostBytes = 60;
  if (tokens.size() > kMostTokens) tokens.resize(kMostTokens);
  std::string text;
  if (tokens.empty() || !processor.Decode(tokens, &text).ok()) return "";
  const std::string_view begin = text_beginning(text, kMostBytes);
  const bool cut = begin.size() < text.size() && begin.rfind(' ') != begin.npos;
  return std::string(cut ? begin.substr(0, begin.rfind(' ')) : begin);
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor)
    : processor_(std::move(processor)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::load(const std::filesystem::path& spiece_model) {
  const std::string where = "tokenizer " + spiece_model.string() + ": ";
  if (!std::filesystem::is_regular_file(spiece_model))
    throw WeightsError(where + "no such file; wanted a sentencepiece model, usually called spiece.model");
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  if (const auto status = processor->Load(spiece_model.string()); !status.ok())
    throw WeightsError(where +
                       "not a sentencepiece model, or damaged; copy it again (spiece.model, not tokenizer.json)");
  if (processor->eos_id() != kEndId || processor->pad_id() > kPadId)
    throw WeightsError(where + "its end token is " + std::to_string(processor->eos_id()) + " and its padding " +
                       std::to_string(processor->pad_id()) +
                       ", UMT5's are 1 and 0: this is the tokenizer of another model");
  return Tokenizer(std::move(processor));
}

TokenIds Tokenizer::encode(std::string_view prompt, int64_t text_len) const {
  FB_CHECK(text_len >= 1);
  std::vector<int> segments;
  const auto status = processor_->Encode(clean_prompt(prompt), &segments);
  FB_CHECK(status.ok(), status.message());
  TokenIds tokens{.prompt_tokens = static_cast<int64_t>(segments.size())};
  const int64_t kept = tokens.used_tokens = std::min(tokens.prompt_tokens, text_len - 1);
  tokens.unseen = first_words(*processor_, {segments.begin() + kept, segments.end()});
  tokens.ids.assign(segments.begin(), segments.begin() + kept);
  tokens.ids.push_back(kEndId);
  tokens.mask.assign(tokens.ids.size(), 1);
  tokens.ids.resize(text_len, kPadId);
  tokens.mask.resize(text_len, 0);
  return tokens;
}

const Tokenizer& LazyTokenizer::get() const {
  const std::lock_guard lock(mutex_);
  if (!loaded_) loaded_ = Tokenizer::load(file_);
  return *loaded_;
}

int64_t Tokenizer::vocabulary_size() const { return processor_->GetPieceSize(); }

}  // namespace flashblock
