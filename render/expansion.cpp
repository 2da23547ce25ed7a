#include "render/expansion.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "core/device.h"
#include "core/error.h"
#include "core/plain_text.h"
#include "language/chat_text.h"
#include "language/language_folder.h"
#include "language/text_decoder.h"
#include "pipeline/render_line.h"
#include "render/timeline_text.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostTokens = 768;  // of an answer
constexpr size_t kLongestWish = 400;  // bytes that a model trained for this is given: it knows short ones
constexpr size_t kShownBytes = 60;    // of what it is not given
constexpr double kTemperature = 1, kTopP = 0.9;

// For models that were trained on all kinds of texts.
constexpr const char* kInstruction =
    "You turn a wish into the timeline of a video. Answer with lines of the form SECONDS: PROMPT and nothing else. The "
    "first line is at 0, the others follow at rising times, all before the end. Every prompt is one sentence that "
    "names everything seen: the subject, the setting, the time of day, the weather and the style, in the same words in "
    "every line, so that it can be read by itself. From one line to the next only one thing changes. Keep everything "
    "that the wish asks for, and invent what it leaves open.";

/// The length that differs from `seconds` by the smallest factor.
double nearest(const std::vector<double>& lengths, double seconds) {
  const auto factor = [&](double length) { return std::abs(std::log(length / seconds)); };
  return *std::ranges::min_element(lengths, {}, factor);
}

std::vector<ChatMessage> question(const Wish& wish, double seconds, bool trained) {
  char length[32];
  std::snprintf(length, sizeof length, "%g s: ", seconds);
  const std::string text = on_one_line(wish.text);
  if (trained) return {{ChatMessage::Role::kUser, length + std::string(text_beginning(text, kLongestWish))}};
  return {{ChatMessage::Role::kSystem, kInstruction}, {ChatMessage::Role::kUser, length + text}};
}

}  // namespace

Expansion read_answer(const std::string& answer, const Wish& wish, double asked) {
  Expansion expansion;
  for (PromptChange& change : parse_timeline(answer)) {
    change.seconds *= wish.seconds / asked;
    if (expansion.prompt.empty())
      expansion.prompt = std::move(change.prompt);
    else if (change.seconds < wish.seconds)
      expansion.timeline.push_back(std::move(change));
  }
  if (expansion.prompt.empty()) {
    expansion.prompt = wish.text;
    expansion.warnings.push_back("the language model wrote no timeline: the wish itself is the prompt");
  }
  return expansion;
}

/// A language model and what it says of itself.
class TimelineWriter::Model {
  /// What a model that was trained to write timelines says of itself: story.json.
  struct Rules {
    std::vector<double> lengths;  // in seconds, that it was trained for
    std::set<std::string> words;  // that it knows

    static std::optional<Rules> read(const fs::path& folder) {
      const fs::path file = folder / "story.json";
      if (!fs::exists(file)) return {};
      std::ifstream stream(file);
      const nlohmann::json json = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
      try {
        Rules rules{.lengths = json.at("seconds"), .words = json.at("words")};
        if (!rules.lengths.empty() && *std::ranges::min_element(rules.lengths) > 0) return rules;
      } catch (const nlohmann::json::exception&) {
      }
      throw WeightsError(file.string() + ": wanted an object with `seconds`, a list of lengths, and `words`");
    }
  };

 public:
  Model(const fs::path& folder, at::Device device, at::ScalarType dtype)
      : rules_(Rules::read(folder)), folder_(open_language_folder(folder)) {
    if (!folder_.tokenizer)
      throw WeightsError(folder.string() + ": has no tokenizer.json, which writing prompts needs");
    model_ = load_language_model(folder_, device, dtype);
  }

  bool is_small() const { return rules_.has_value(); }

  Expansion write(const Wish& wish) const {
    // A small model's operators are too short to be divided among threads.
    const ThreadLimit threads(rules_ ? 1 : process_threads());
    const double asked = rules_ ? nearest(rules_->lengths, wish.seconds) : wish.seconds;
    const std::vector<int64_t> ids = chat_ids(*folder_.tokenizer, question(wish, asked, is_small()));
    const int64_t room = folder_.config.positions - static_cast<int64_t>(ids.size());
    const DecodingConfig decoding{.sampling = {.temperature = kTemperature, .top_k = 0, .top_p = kTopP},
                                  .seed = wish.seed,
                                  .max_tokens = std::clamp<int64_t>(room, 1, kMostTokens)};
    TextObserver observer;
    // Exact: wish and answer are too short for reuse to save anything (kReuseFromTokens).
    const DecodedText answer = decode_text(*model_, ids, decoding, {.mode = AttentionConfig::Mode::kExact}, observer);
    Expansion expansion = read_answer(folder_.tokenizer->decode(answer.tokens), wish, asked);
    if (is_small() && wish.text.size() > kLongestWish) {
      const std::string unseen = wish.text.substr(text_beginning(wish.text, kLongestWish).size());
      expansion.warnings.push_back("the language model takes " + std::to_string(kLongestWish) +
                                   " bytes of a wish, and has not seen its end, which begins '" +
                                   std::string(text_beginning(unseen, kShownBytes)) + "'");
    }
    const auto unknown = rules_ ? unknown_words(wish.text, rules_->words) : std::vector<std::string>();
    if (!unknown.empty())
      expansion.warnings.push_back("the language model does not know " + quoted(unknown) +
                                   ": the prompts were written without " + (unknown.size() > 1 ? "them" : "it"));
    return expansion;
  }

 private:
  std::optional<Rules> rules_;
  LanguageFolder folder_;
  std::shared_ptr<const LanguageModel> model_;
};

TimelineWriter::TimelineWriter(Keep keep) : keep_(keep) {}
TimelineWriter::~TimelineWriter() = default;

Expansion TimelineWriter::write(const Wish& wish, const fs::path& folder, at::Device device, at::ScalarType dtype) {
  const std::string wanted = folder.string() + " on " + device.str() + " in " + dtype_name(dtype);
  const std::lock_guard lock(mutex_);
  if (!model_ || loaded_ != wanted) {
    model_.reset();  // before the next one is loaded
    model_ = std::make_unique<const Model>(folder, device, dtype);
    loaded_ = wanted;
  }
  Expansion expansion = model_->write(wish);
  if (keep_ == Keep::kSmall && !model_->is_small()) model_.reset();
  return expansion;
}

Expansion TimelineWriter::write(const RenderConfig& config, double seconds) {
  // A small model is fastest, and the same everywhere, on the CPU.
  const bool small = fs::exists(config.expand / "story.json");
  const at::Device device = small ? at::Device(at::kCPU) : resolve_devices(config.device).front();
  const at::ScalarType dtype = small ? at::kFloat : resolve_dtype(config.dtype, device);
  return write({.text = config.prompt, .seconds = seconds, .seed = *config.seed}, config.expand, device, dtype);
}

}  // namespace flashblock
