// Whole decodes against the published loops, and what holds for all of them.
#include "language/text_decoder.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/language/language_cases.h"
#include "tests/support/cuda.h"
#include "tests/support/error_text.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using Ids = std::vector<int64_t>;

class KeptPasses : public TextObserver {
 public:
  void pass(const DecodedPass& pass) override { passes.push_back(pass); }
  void decoded(const Ids& tokens) override { streamed.insert(streamed.end(), tokens.begin(), tokens.end()); }
  std::vector<DecodedPass> passes;
  Ids streamed;
};

Ids vector_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kLong).contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

DecodingConfig decoding_of(const nlohmann::json& what) {
  DecodingConfig config;
  config.block_size = what["block_length"];
  config.steps = what["denoising_steps"];
  config.max_tokens = what["gen_length"];
  config.remasking.rule = parse_remasking(what["remasking_strategy"].get<std::string>());
  config.remasking.threshold = what.value("confidence_threshold", what.value("threshold", 0.9));
  if (config.remasking.rule == Remasking::kEntropyBounded) {
    config.remasking.entropy_bound = what["threshold"];
    config.remasking.threshold = 0.9;
  }
  return config;
}

AttentionConfig attention_of(const nlohmann::json& what) {
  AttentionConfig attention = text_attention();
  if (what.value("reuse", nlohmann::json()).is_null()) {
    attention.mode = AttentionConfig::Mode::kExact;
    return attention;
  }
  attention.refresh = what["reuse"] == "first" ? "first_and_clean_pass" : "decoded_tokens";
  if (what["tau"].is_number()) attention.tau = what["tau"];
  attention.recompute_decoded_rows = what["rows_recomputed"];
  return attention;
}

// The last block's clean pass, which decodes nothing any more, may be missing.
void expect_published_decode(const WeightStore& data, const std::string& name, const nlohmann::json& what,
                             const LanguageModel& model, CleanPass clean_pass) {
  SCOPED_TRACE(name + (clean_pass == CleanPass::kFused ? " fused" : " separate"));
  const auto row = [&](const char* part) { return data.tensor(name + "." + part); };
  DecodingConfig decoding = decoding_of(what);
  decoding.clean_pass = clean_pass;
  KeptPasses kept;
  const DecodedText text = decode_text(model, vector_of(row("prompt")), decoding, attention_of(what), kept);
  Ids ids = vector_of(row("ids"));
  EXPECT_EQ(text.end == TextEnd::kEndToken, ids.size() > text.ids.size());
  if (what.contains("stopped_early")) {
    EXPECT_EQ(what["stopped_early"].get<bool>(), text.end == TextEnd::kEndToken);
  }
  ids.resize(text.ids.size());
  EXPECT_EQ(text.ids, ids);
  EXPECT_EQ(kept.streamed, text.tokens);
  const int64_t passes = row("block").size(0);
  ASSERT_EQ(static_cast<int64_t>(kept.passes.size()), passes - 1);
  for (int64_t i = 0; i + 1 < passes; ++i) {
    const DecodedPass& pass = kept.passes[static_cast<size_t>(i)];
    EXPECT_EQ(pass.block, row("block")[i].item<int64_t>());
    EXPECT_EQ(pass.ids, vector_of(row("ids_in")[i]));
    EXPECT_EQ(pass.clean, row("stores")[i].item<uint8_t>() != 0);
    EXPECT_EQ(Ids(pass.transfer.begin(), pass.transfer.end()), vector_of(row("transfer")[i])) << "pass " << i;
    if (data.contains(name + ".external_computed")) {
      EXPECT_EQ(std::ranges::count(pass.external_computed, true) == decoding.block_size,
                row("external_computed")[i].item<uint8_t>() != 0)
          << "pass " << i;
    }
    if (pass.clean) continue;
    for (int64_t place = 0; place < decoding.block_size; ++place) {
      if (pass.ids[size_t(place)] != model.config().mask_token) continue;
      EXPECT_NEAR(pass.confidence[size_t(place)], row("confidence")[i][place].item<float>(), 2e-5) << "pass " << i;
      if (data.contains(name + ".argmax")) {
        EXPECT_EQ(pass.argmax[size_t(place)], row("argmax")[i][place].item<int64_t>()) << "pass " << i;
      }
    }
  }
}

void expect_published_decodes(at::Device device) {
  const auto data = parity_data("language_decode");
  const auto cases = parity_config(*data, "cases");
  ASSERT_EQ(cases.size(), 26u);
  for (const std::string geometry : {"a", "b"}) {
    const auto model = language_parity_model(*data, at::kFloat, "." + geometry, device);
    for (const auto& [name, what] : cases.items()) {
      if (what["geometry"] != geometry) continue;
      for (const CleanPass clean_pass : {CleanPass::kSeparate, CleanPass::kFused})
        expect_published_decode(*data, name, what, *model, clean_pass);
    }
  }
}

TEST(TextDecoder, DecodesAsPublished) { expect_published_decodes(at::kCPU); }

TEST(TextDecoder, ReusesFromTheAskedTokensOn) {
  const auto model = small_language_model();
  const AttentionConfig reuse = text_attention();
  const Ids prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const auto reused = [&](int64_t from) {
    TextObserver none;
    DecodingConfig decoding{.remasking = {.rule = Remasking::kSequential}, .max_tokens = 24, .stop_at_end = false};
    decoding.reuse_from = from;
    return decode_text(*model, prompt, decoding, reuse, none);
  };
  const DecodedText always = reused(0), later = reused(20), never = reused(1000);
  EXPECT_EQ(never.counters.external_reused, 0);
  EXPECT_GT(later.counters.external_reused, 0);
  EXPECT_LT(later.counters.external_reused, always.counters.external_reused);
  EXPECT_EQ(always.counters.passes, never.counters.passes);
  TextObserver none;
  const DecodingConfig decoding{.remasking = {.rule = Remasking::kSequential}, .max_tokens = 24, .stop_at_end = false};
  EXPECT_EQ(never.ids, decode_text(*model, prompt, decoding, {.mode = AttentionConfig::Mode::kExact}, none).ids);
}

TEST(TextDecoderCuda, DecodesAsPublished) {
  FLASHBLOCK_NEED_CUDA();
  expect_published_decodes(testing::kGpu);
}

const AttentionConfig kExactText{.mode = AttentionConfig::Mode::kExact};

DecodedText decode(const DecodingConfig& decoding, const Ids& prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9},
                   const AttentionConfig& attention = kExactText, TextObserver* observer = nullptr) {
  static const auto model = small_language_model();
  TextObserver none;
  return decode_text(*model, prompt, decoding, attention, observer ? *observer : none);
}

TEST(TextDecoder, SamplingDependsOnTheSeedAlone) {
  DecodingConfig decoding{.sampling = {.temperature = 1.5, .top_k = 0, .top_p = 0.95}, .seed = 1, .max_tokens = 40};
  decoding.stop_at_end = false;
  const Ids first = decode(decoding).tokens;
  EXPECT_EQ(first.size(), 40u);
  EXPECT_EQ(decode(decoding).tokens, first);
  decoding.seed = 2;
  EXPECT_NE(decode(decoding).tokens, first);
}

TEST(TextDecoder, TheMaskTokenIsNeverChosen) {
  for (const double temperature : {0.0, 3.0})
    for (const Remasking rule : {Remasking::kLowConfidenceStatic, Remasking::kLowConfidenceDynamic,
                                 Remasking::kSequential, Remasking::kEntropyBounded}) {
      DecodingConfig decoding{.remasking = {.rule = rule},
                              .sampling = {.temperature = temperature, .top_k = 0},
                              .max_tokens = 64,
                              .stop_at_end = false};
      const DecodedText text = decode(decoding);
      EXPECT_EQ(std::ranges::count(text.tokens, 95), 0);
      EXPECT_EQ(text.tokens.size(), 64u);
    }
}

TEST(TextDecoder, AMaskTokenInThePromptIsNotDecoded) {
  const DecodedText text = decode({.max_tokens = 8}, {1, 2, 95, 4, 5, 95});
  EXPECT_EQ(Ids(text.ids.begin(), text.ids.begin() + 6), Ids({1, 2, 95, 4, 5, 95}));
}

TEST(TextDecoder, FewStepsNeverOverwriteKnownTokens) {
  for (int64_t length = 1; length < 9; ++length) {
    Ids prompt;
    for (int64_t i = 0; i < length; ++i) prompt.push_back(10 + i);
    for (const int64_t steps : {1, 2, 3}) {
      DecodingConfig decoding{.steps = steps, .max_tokens = 6, .stop_at_end = false};
      decoding.remasking.rule = Remasking::kLowConfidenceStatic;
      const DecodedText text = decode(decoding, prompt);
      EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), text.ids.begin()));
      EXPECT_EQ(text.tokens.size(), 6u);
    }
  }
}

TEST(TextDecoder, TheTextEndsBeforeTheEndToken) {
  DecodingConfig decoding{.max_tokens = 400};
  const DecodedText whole = [&] {
    DecodingConfig on = decoding;
    on.stop_at_end = false;
    on.sampling = {.temperature = 4, .top_k = 0};
    return decode(on);
  }();
  const auto end = std::ranges::find(whole.tokens, 94);
  ASSERT_NE(end, whole.tokens.end()) << "a hot sample of 96 tokens holds each of them";
  decoding.sampling = {.temperature = 4, .top_k = 0};
  KeptPasses kept;
  const DecodedText text = decode(decoding, {1, 2, 3, 4, 5, 6, 7, 8, 9}, kExactText, &kept);
  EXPECT_EQ(text.end, TextEnd::kEndToken);
  EXPECT_EQ(text.tokens, Ids(whole.tokens.begin(), end));
  EXPECT_EQ(kept.streamed, text.tokens);
  EXPECT_EQ(text.ids.size() % 4, 0u);
  EXPECT_EQ(whole.end, TextEnd::kLength);
}

TEST(TextDecoder, AStopEndsAfterThePass) {
  class StopAfter : public TextObserver {
   public:
    void pass(const DecodedPass&) override {
      if (++passes == 6) source.request_stop();
    }
    int passes = 0;
    std::stop_source source;
  } observer;
  const auto model = small_language_model();
  DecodingConfig decoding{.max_tokens = 100, .stop_at_end = false};
  decoding.remasking.rule = Remasking::kSequential;
  const DecodedText text =
      decode_text(*model, {1, 2, 3, 4}, decoding, kExactText, observer, observer.source.get_token());
  EXPECT_EQ(text.end, TextEnd::kStopped);
  EXPECT_EQ(observer.passes, 6);
  EXPECT_EQ(text.tokens.size(), 4u) << "of whole blocks";
}

TEST(TextDecoder, CountsItsWork) {
  DecodingConfig decoding{.max_tokens = 16, .stop_at_end = false};
  decoding.remasking.rule = Remasking::kSequential;
  const Ids prompt = {1, 2, 3, 4, 5, 6, 7, 8};
  AttentionConfig reuse = text_attention();
  const LanguageCounters fused = decode(decoding, prompt, reuse).counters;
  EXPECT_EQ(fused.passes, 4 * 4) << "four passes of four blocks; three of them store the block before";
  decoding.clean_pass = CleanPass::kSeparate;
  const LanguageCounters separate = decode(decoding, prompt, reuse).counters;
  EXPECT_EQ(separate.passes, 4 * 4 + 3);
  EXPECT_EQ(fused.external_computed, separate.external_computed);
  EXPECT_GT(separate.weight_bytes, fused.weight_bytes);
  EXPECT_GT(separate.cache_bytes, fused.cache_bytes);
  EXPECT_GT(decode(decoding, prompt).counters.cache_bytes, separate.cache_bytes) << "exact";
}

TEST(TextDecoder, WhatCannotBeIsRefused) {
  const auto refusal = [](const DecodingConfig& decoding, const Ids& prompt = {1}) {
    return error_text<ConfigError>([&] { decode(decoding, prompt); });
  };
  EXPECT_THAT(refusal({}, {}), HasSubstr("no tokens"));
  EXPECT_THAT(refusal({}, {96}), HasSubstr("the prompt has the token 96"));
  EXPECT_THAT(refusal({.max_tokens = 0}), HasSubstr("decoding.max_tokens"));
  EXPECT_THAT(refusal({.max_tokens = 40'000}), HasSubstr("the model was trained for 32768"));
  EXPECT_THAT(refusal({.block_size = 2000}), HasSubstr("decoding.block_size"));
  EXPECT_THAT(refusal({.sampling = {.temperature = -1}}), HasSubstr("decoding.temperature"));
  EXPECT_THAT(refusal({.sampling = {.top_p = 0}}), HasSubstr("decoding.top_p"));
  EXPECT_THAT(refusal({.remasking = {.threshold = 2}}), HasSubstr("decoding.threshold"));
}

}  // namespace
}  // namespace flashblock
