#include "language/tokenizer_files.h"

#include <array>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "core/error.h"
#include "core/html_page.h"
#include "core/plain_text.h"
#include "language/text_split.h"
#include "language/unicode_classes.h"

namespace flashblock {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int64_t kMostTokens = 10'000'000;

std::string text_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf())) throw WeightsError(path.string() + ": cannot be read");
  return text.str();
}

json object_of(const fs::path& path) {
  const std::string text = text_of(path);
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw WeightsError(path.string() + json_fault(text));
  return object;
}

/// What is wrong in one file.
class Faults {
 public:
  explicit Faults(const fs::path& file) : file_(file.string()) {}
  [[noreturn]] void fail(const std::string& what) const { throw WeightsError(file_ + ": " + what); }
  void want(bool good, const std::string& what) const {
    if (!good) fail(what);
  }
  int64_t id(const json& value) const {
    if (!value.is_number_integer() || value < 0 || value >= kMostTokens) fail("a token's id is " + json_line(value));
    return value.get<int64_t>();
  }
  std::string text(const json& value) const {
    if (!value.is_string()) fail("found " + json_line(value) + ", wanted a text");
    return value.get<std::string>();
  }

 private:
  std::string file_;
};

// Vocabularies write bytes as characters: printable ones as themselves, the others from U+0100 on.
// Source: GPT-2 `encoder.py`, bytes_to_unicode.
class ByteAlphabet {
 public:
  ByteAlphabet() {
    bytes_.fill(-1);
    int next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      bytes_[static_cast<size_t>(itself ? byte : next++)] = byte;
    }
  }

  std::string bytes(const std::string& token, const Faults& faults) const {
    std::string bytes;
    for (const char32_t character : characters_of(token)) {
      const int byte = character < bytes_.size() ? bytes_[character] : -1;
      if (byte < 0) faults.fail("the token " + json_line(token) + " has a character that stands for no byte");
      bytes += static_cast<char>(byte);
    }
    return bytes;
  }

 private:
  std::array<int, 0x200> bytes_;
};

void read_vocabulary(const json& vocabulary, const Faults& faults, TokenizerFiles& files) {
  static const ByteAlphabet alphabet;
  faults.want(vocabulary.is_object() && !vocabulary.empty(), "has no vocabulary");
  for (const auto& [token, value] : vocabulary.items()) {
    const auto id = static_cast<size_t>(faults.id(value));
    if (id >= files.tokens.size()) files.tokens.resize(id + 1);
    if (!files.tokens[id].empty()) faults.fail("two tokens have the id " + std::to_string(id));
    files.tokens[id] = alphabet.bytes(token, faults);
  }
}

void add_merge(std::string_view left, std::string_view right, const Faults& faults, TokenizerFiles& files) {
  static const ByteAlphabet alphabet;
  files.merges.emplace_back(alphabet.bytes(std::string(left), faults), alphabet.bytes(std::string(right), faults));
}

void add_merge(std::string_view line, const Faults& faults, TokenizerFiles& files) {
  const size_t space = line.find(' ');
  const bool two = space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
                   line.find(' ', space + 1) == std::string_view::npos;
  if (!two) faults.fail("the merge '" + std::string(line) + "' is not two tokens");
  add_merge(line.substr(0, space), line.substr(space + 1), faults, files);
}

void read_merges(const json& merges, const Faults& faults, TokenizerFiles& files) {
  faults.want(merges.is_array(), "has no merges");
  for (const json& merge : merges) {
    if (merge.is_string()) {
      add_merge(std::string_view(merge.get_ref<const std::string&>()), faults, files);
      continue;
    }
    if (!merge.is_array() || merge.size() != 2) faults.fail("the merge " + json_line(merge) + " is not two tokens");
    add_merge(faults.text(merge[0]), faults.text(merge[1]), faults, files);
  }
}

void read_merges_file(const fs::path& path, TokenizerFiles& files) {
  const Faults faults(path);
  std::istringstream lines(text_of(path));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.rfind("#version", 0) == 0) continue;
    add_merge(std::string_view(line), faults, files);
  }
  faults.want(!files.merges.empty(), "has no merges");
}

AddedToken added_token(int64_t id, const json& token, const Faults& faults) {
  faults.want(token.is_object() && token.contains("content"), "an added token has no content");
  for (const char* flag : {"lstrip", "rstrip", "single_word", "normalized"})
    faults.want(!token.contains(flag) || token[flag] == false,
                std::string("an added token has ") + flag + ", which is not supported");
  return {id, faults.text(token["content"]), token.contains("special") && token["special"] == true};
}

// Calls `visit` with every object of a normalizer or pre-tokenizer, those of a sequence one by one.
void visit_steps(const json& step, const char* list, const std::function<void(const json&)>& visit) {
  if (step.is_object() && step.contains(list) && step[list].is_array())
    for (const json& part : step[list]) visit_steps(part, list, visit);
  else
    visit(step);
}

void check_steps(const json& object, const Faults& faults) {
  const auto type_of = [](const json& step) {
    return step.is_object() && step.contains("type") ? step["type"] : json("none");
  };
  visit_steps(object.value("normalizer", json()), "normalizers", [&](const json& step) {
    faults.want(type_of(step) == "NFC", "the normalizer is " + json_line(type_of(step)) + ", wanted \"NFC\"");
  });
  bool splits = false;
  visit_steps(object.value("pre_tokenizer", json()), "pretokenizers", [&](const json& step) {
    const json type = type_of(step);
    faults.want(type == "Split" || type == "ByteLevel", "the pre-tokenizer is " + json_line(type) + ", not supported");
    if (type == "ByteLevel")
      return faults.want(
          step.value("add_prefix_space", json(false)) == false && step.value("use_regex", json(false)) == false,
          "the pre-tokenizer adds a space or splits by itself, which is not supported");
    const json pattern =
        step.contains("pattern") && step["pattern"].is_object() ? step["pattern"].value("Regex", json()) : json();
    faults.want(pattern == kSplitPattern, "the split pattern is " + json_line(pattern) + ", which is not supported");
    splits = true;
  });
  faults.want(splits, "has no split pattern; wanted that of Qwen");
}

TokenizerFiles read_tokenizer_json(const fs::path& path) {
  const Faults faults(path);
  const json object = object_of(path);
  faults.want(object.contains("model") && object["model"].is_object(), "has no model");
  const json& model = object["model"];
  faults.want(model.value("type", json("BPE")) == "BPE",
              "the model is " + json_line(model.value("type", json())) + ", wanted \"BPE\"");
  check_steps(object, faults);
  TokenizerFiles files;
  read_vocabulary(model.value("vocab", json()), faults, files);
  read_merges(model.value("merges", json()), faults, files);
  const json added = object.value("added_tokens", json::array());
  faults.want(added.is_array(), "the added tokens are no list");
  for (const json& token : added) {
    faults.want(token.is_object() && token.contains("id"), "an added token has no id");
    files.added.push_back(added_token(faults.id(token["id"]), token, faults));
  }
  return files;
}

void read_added_tokens(const fs::path& folder, TokenizerFiles& files) {
  const fs::path config = folder / "tokenizer_config.json", list = folder / "added_tokens.json";
  if (fs::exists(config)) {
    const Faults faults(config);
    const json object = object_of(config);
    const json kind = object.value("tokenizer_class", json("Qwen2Tokenizer"));
    faults.want(kind == "Qwen2Tokenizer" || kind == "Qwen2TokenizerFast",
                "tokenizer_class is " + json_line(kind) + ", wanted \"Qwen2Tokenizer\"");
    const json tokens = object.value("added_tokens_decoder", json());
    if (tokens.is_object()) {
      for (const auto& [id, token] : tokens.items()) {
        const json number = json::parse(id, nullptr, /*allow_exceptions=*/false);
        files.added.push_back(added_token(faults.id(number), token, faults));
      }
      return;
    }
  }
  if (!fs::exists(list)) return;
  const Faults faults(list);
  const json tokens = object_of(list);
  for (const auto& [text, id] : tokens.items()) files.added.push_back({faults.id(id), text, text.rfind("<|", 0) == 0});
}

}  // namespace

TokenizerFiles read_tokenizer_files(const fs::path& folder) {
  if (fs::exists(folder / "tokenizer.json")) return read_tokenizer_json(folder / "tokenizer.json");
  const fs::path vocabulary = folder / "vocab.json", merges = folder / "merges.txt";
  if (!fs::exists(vocabulary) || !fs::exists(merges))
    throw WeightsError(folder.string() + ": has no tokenizer.json, nor vocab.json and merges.txt");
  TokenizerFiles files;
  read_vocabulary(object_of(vocabulary), Faults(vocabulary), files);
  read_merges_file(merges, files);
  read_added_tokens(folder, files);
  return files;
}

}  // namespace flashblock
