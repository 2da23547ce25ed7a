#include "language/byte_pair_tokenizer.h"

#include <algorithm>
#include <queue>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "language/text_split.h"
#include "language/unicode_classes.h"

namespace flashblock {
namespace {

uint64_t pair_key(int64_t left, int64_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint64_t>(right);
}

std::string utf8_of(std::u32string_view characters) {
  std::string text;
  for (const char32_t character : characters) append_utf8(text, character);
  return text;
}

std::string repaired(std::string_view bytes) { return utf8_of(characters_of(bytes)); }

}  // namespace

BytePairTokenizer BytePairTokenizer::load(const std::filesystem::path& folder) {
  return BytePairTokenizer(read_tokenizer_files(folder), folder.string());
}

BytePairTokenizer::BytePairTokenizer(TokenizerFiles files, const std::string& origin)
    : tokens_(std::move(files.tokens)), added_(std::move(files.added)), byte_ids_(256, -1) {
  std::unordered_map<std::string, int64_t> ids;
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (tokens_[id].empty()) continue;
    ids.emplace(tokens_[id], static_cast<int64_t>(id));
    if (tokens_[id].size() == 1) byte_ids_[static_cast<unsigned char>(tokens_[id][0])] = static_cast<int64_t>(id);
  }
  if (std::count(byte_ids_.begin(), byte_ids_.end(), -1) > 0)
    throw WeightsError(origin + ": the vocabulary lacks some single bytes");
  const auto id_of = [&](const std::string& bytes) {
    const auto found = ids.find(bytes);
    if (found == ids.end()) throw WeightsError(origin + ": a merge needs '" + repaired(bytes) + "', which is no token");
    return found->second;
  };
  for (size_t rank = 0; rank < files.merges.size(); ++rank) {
    const auto& [left, right] = files.merges[rank];
    merges_.emplace(pair_key(id_of(left), id_of(right)), Merge{static_cast<int64_t>(rank), id_of(left + right)});
  }
  for (const AddedToken& token : added_) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= tokens_.size()) tokens_.resize(id + 1);
    tokens_[id] = token.text;
  }
  special_.resize(tokens_.size());
  for (const AddedToken& token : added_) special_[static_cast<size_t>(token.id)] = token.special;
  std::erase_if(added_, [](const AddedToken& token) { return token.text.empty(); });
  std::sort(added_.begin(), added_.end(), [](const AddedToken& a, const AddedToken& b) {
    return std::pair(b.text.size(), a.text) < std::pair(a.text.size(), b.text);
  });
}

// A part is a chain of tokens; the queue holds the possible merges of neighbours, those of tokens that are gone too.
void BytePairTokenizer::merge_into(const std::string& part, std::vector<int64_t>& ids) const {
  const auto length = static_cast<int64_t>(part.size());
  std::vector<int64_t> token(part.size()), next(part.size()), previous(part.size());
  for (int64_t i = 0; i < length; ++i) {
    token[size_t(i)] = byte_ids_[static_cast<unsigned char>(part[size_t(i)])];
    next[size_t(i)] = i + 1;
    previous[size_t(i)] = i - 1;
  }
  using Candidate = std::tuple<int64_t, int64_t, int64_t, int64_t>;  // rank, place, the two tokens
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](int64_t place) {
    if (place < 0 || next[size_t(place)] >= length) return;
    const int64_t left = token[size_t(place)], right = token[size_t(next[size_t(place)])];
    const auto found = merges_.find(pair_key(left, right));
    if (found != merges_.end()) candidates.emplace(found->second.rank, place, left, right);
  };
  for (int64_t i = 0; i < length; ++i) consider(i);
  while (!candidates.empty()) {
    const auto [rank, place, left, right] = candidates.top();
    candidates.pop();
    const int64_t other = next[size_t(place)];
    if (token[size_t(place)] != left || other >= length || token[size_t(other)] != right) continue;
    token[size_t(place)] = merges_.at(pair_key(left, right)).id;
    token[size_t(other)] = -1;
    next[size_t(place)] = next[size_t(other)];
    if (next[size_t(place)] < length) previous[size_t(next[size_t(place)])] = place;
    consider(place);
    consider(previous[size_t(place)]);
  }
  for (int64_t i = 0; i < length; i = next[size_t(i)]) ids.push_back(token[size_t(i)]);
}

void BytePairTokenizer::encode_plain(std::string_view text, std::vector<int64_t>& ids) const {
  const std::u32string characters = characters_of(normalized(text));
  for (const std::u32string_view part : split_text(characters)) merge_into(utf8_of(part), ids);
}

std::vector<int64_t> BytePairTokenizer::encode(std::string_view text, AddedInText added) const {
  std::vector<int64_t> ids;
  while (!text.empty() && added == AddedInText::kRecognised) {
    size_t first = std::string_view::npos;
    const AddedToken* token = nullptr;  // the longest of the leftmost
    for (const AddedToken& candidate : added_)
      if (const size_t at = text.find(candidate.text); at < first) first = at, token = &candidate;
    if (!token) break;
    encode_plain(text.substr(0, first), ids);
    ids.push_back(token->id);
    text.remove_prefix(first + token->text.size());
  }
  encode_plain(text, ids);
  return ids;
}

const std::string& BytePairTokenizer::bytes(int64_t id) const {
  static const std::string none;
  return is_id(id) ? tokens_[static_cast<size_t>(id)] : none;
}

std::string BytePairTokenizer::decode(const std::vector<int64_t>& ids) const {
  std::string joined;
  for (const int64_t id : ids)
    if (!is_special(id)) joined += bytes(id);
  return repaired(joined);
}

std::optional<int64_t> BytePairTokenizer::added_token(std::string_view text) const {
  for (const AddedToken& token : added_)
    if (token.text == text) return token.id;
  return {};
}

std::string TextStream::add(int64_t id) {
  if (!tokenizer_.is_special(id)) held_ += tokenizer_.bytes(id);
  const size_t complete = complete_characters(held_);
  std::string text = repaired(std::string_view(held_).substr(0, complete));
  held_.erase(0, complete);
  return text;
}

std::string TextStream::finish() { return repaired(std::exchange(held_, {})); }

}  // namespace flashblock
