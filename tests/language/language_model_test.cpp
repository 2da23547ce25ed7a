// Properties of the language model's passes.
#include "language/language_model.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/language/language_cases.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

const AttentionConfig kExactly{.mode = AttentionConfig::Mode::kExact};

AttentionConfig reuse(RefreshPolicyRef policy,
                      AttentionConfig::Correction correction = AttentionConfig::Correction::kNone) {
  return {.refresh = policy, .correction = correction};
}

// Logits of passes over two blocks behind a prompt of 24 tokens: three passes, the clean pass, two passes of the next.
std::vector<at::Tensor> some_passes(const LanguageModel& model, const AttentionConfig& attention, bool fused,
                                    LanguageCounters* counters = nullptr) {
  LanguageState state = model.make_state({.max_tokens = 64, .block_size = 4, .attention = attention});
  model.prefill(state, some_ids(24, 90, 1));
  std::vector<at::Tensor> results;
  at::Tensor block = some_ids(4, 90, 2);
  const auto pass = [&](const at::Tensor& ids, int64_t step) {
    results.push_back(model.logits(state, model.pass(state, ids, Pass::denoise(step))));
  };
  for (int64_t step = 0; step < 3; ++step) {
    block = block.clone();
    block[0][step] = 7 * step + 3;
    if (step > 0) state.count_decoded({step});
    pass(block, step);
  }
  const at::Tensor next = ids_of({95, 95, 95, 95});
  if (fused) {
    results.push_back(model.logits(state, model.fused_pass(state, block, next)));
  } else {
    model.clean_pass(state, block);
    pass(next, 0);
  }
  pass(ids_of({11, 95, 95, 95}), 1);
  if (counters) *counters = state.counters();
  return results;
}

TEST(LanguageModel, PrefillInAnyPartsGivesTheSameCache) {
  const auto model = small_language_model();
  const at::Tensor prompt = some_ids(40, 90, 1);
  LanguageState whole = model->make_state({.max_tokens = 64, .attention = kExactly});
  const at::Tensor hidden = model->prefill(whole, prompt, LanguageModel::Output::kHidden);
  for (const int64_t tokens : {4, 8, 12, 20}) {
    LanguageState parts = model->make_state({.max_tokens = 64, .prefill_tokens = tokens, .attention = kExactly});
    EXPECT_TENSORS_NEAR_IN_NORM(model->prefill(parts, prompt, LanguageModel::Output::kHidden), hidden, 1e-6);
    for (int64_t layer = 0; layer < 2; ++layer)
      EXPECT_TENSORS_NEAR_IN_NORM(parts.committed(layer).keys, whole.committed(layer).keys, 1e-6);
  }
}

TEST(LanguageModel, BlocksOfOneTokenAreCausalDecoding) {
  const auto model = small_language_model();
  const at::Tensor text = some_ids(9, 90, 3);
  LanguageState at_once = model->make_state({.max_tokens = 16, .block_size = 1, .attention = kExactly});
  const at::Tensor hidden = model->prefill(at_once, text, LanguageModel::Output::kHidden);
  LanguageState one_by_one = model->make_state({.max_tokens = 16, .block_size = 1, .attention = kExactly});
  for (int64_t i = 0; i < 9; ++i) {
    const at::Tensor token = model->clean_pass(one_by_one, text.narrow(1, i, 1), LanguageModel::Output::kHidden);
    EXPECT_TENSORS_NEAR_IN_NORM(token, hidden.narrow(1, i, 1), 2e-6);
  }
}

TEST(LanguageModel, LaterBlocksAreNotSeen) {
  const auto model = small_language_model();
  at::Tensor text = some_ids(12, 90, 3);
  const auto hidden_of = [&] {
    LanguageState state = model->make_state({.max_tokens = 16, .attention = kExactly});
    return model->prefill(state, text, LanguageModel::Output::kHidden).clone();
  };
  const at::Tensor before = hidden_of();
  text = text.clone();
  text[0][9] = (text[0][9].item<int64_t>() + 1) % 90;
  const at::Tensor after = hidden_of();
  EXPECT_TENSORS_IDENTICAL(after.narrow(1, 0, 8), before.narrow(1, 0, 8));
  EXPECT_GT(relative_norm_error(after.narrow(1, 8, 1), before.narrow(1, 8, 1)), 1e-3) << "its own block is seen whole";
}

TEST(LanguageModel, TheFirstBlockIsExactBitForBit) {
  const auto model = small_language_model();
  const at::Tensor block = some_ids(4, 90, 4);
  const auto logits_of = [&](const AttentionConfig& attention) {
    LanguageState state = model->make_state({.max_tokens = 16, .attention = attention});
    model->pass(state, block, Pass::denoise(0));
    return model->logits(state, model->pass(state, block, Pass::denoise(1)));
  };
  const at::Tensor exact = logits_of(kExactly);
  for (const char* policy : {"every_pass", "first_and_clean_pass", "decoded_tokens"})
    EXPECT_TENSORS_IDENTICAL(logits_of(reuse(policy)), exact);
}

TEST(LanguageModel, EveryPassIsExact) {
  const auto model = small_language_model();
  for (const bool fused : {false, true}) {
    const auto exact = some_passes(*model, kExactly, false), every = some_passes(*model, reuse("every_pass"), fused);
    for (size_t i = 0; i < exact.size(); ++i) EXPECT_TENSORS_NEAR_IN_NORM(every[i], exact[i], 2e-6) << i;
  }
}

TEST(LanguageModel, TheFusedPassEqualsTheSeparateOnes) {
  const auto model = small_language_model();
  std::vector<AttentionConfig> configs = {kExactly};
  for (const char* policy :
       {"every_pass", "first_pass", "first_and_clean_pass", "every_nth", "error_bound", "decoded_tokens"})
    for (const auto correction : {AttentionConfig::Correction::kNone, AttentionConfig::Correction::kMeanKey})
      configs.push_back(reuse(policy, correction));
  configs.push_back(reuse("decoded_tokens"));
  configs.back().recompute_decoded_rows = true;
  for (const AttentionConfig& config : configs) {
    LanguageCounters separately, at_once;
    const auto separate = some_passes(*model, config, false, &separately);
    const auto fused = some_passes(*model, config, true, &at_once);
    for (size_t i = 0; i < separate.size(); ++i)
      EXPECT_TENSORS_NEAR_IN_NORM(fused[i], separate[i], 2e-6) << to_string(config.refresh) << ' ' << i;
    EXPECT_EQ(at_once.external_computed, separately.external_computed) << to_string(config.refresh);
    EXPECT_EQ(at_once.passes, separately.passes - 1);
    EXPECT_LT(at_once.weight_bytes, separately.weight_bytes);
    EXPECT_LT(at_once.cache_bytes, separately.cache_bytes + 1);
  }
}

TEST(LanguageModel, ReuseIsCloseAndCorrectionsBringItCloser) {
  const auto model = small_language_model();
  const auto exact = some_passes(*model, kExactly, false);
  const auto error = [&](const AttentionConfig& config) {
    return relative_norm_error(some_passes(*model, config, true)[2], exact[2]);
  };
  const double plain = error(reuse("first_and_clean_pass"));
  EXPECT_GT(plain, 1e-4);
  EXPECT_LT(plain, 0.5);
  EXPECT_LT(error(reuse("first_and_clean_pass", AttentionConfig::Correction::kMeanKey)), plain);
  AttentionConfig rows = reuse("first_and_clean_pass");
  rows.recompute_decoded_rows = true;
  EXPECT_LT(error(rows), plain);
  EXPECT_LT(error(reuse("every_pass")), 2e-6);
}

TEST(LanguageModel, RecomputedRowsAreThoseOfTheDecodedTokens) {
  const auto model = small_language_model();
  AttentionConfig config = reuse("first_and_clean_pass");
  config.recompute_decoded_rows = true;
  LanguageState state = model->make_state({.max_tokens = 64, .attention = config});
  model->prefill(state, some_ids(24, 90, 1));
  model->pass(state, ids_of({95, 95, 95, 95}), Pass::denoise(0));
  EXPECT_EQ(state.computed_places(), std::vector<bool>({true, true, true, true}));
  state.count_decoded({2});
  model->pass(state, ids_of({95, 95, 7, 95}), Pass::denoise(1));
  EXPECT_EQ(state.computed_places(), std::vector<bool>({false, false, true, false}));
  state.count_decoded({0});
  model->pass(state, ids_of({8, 95, 7, 95}), Pass::denoise(2));
  EXPECT_EQ(state.computed_places(), std::vector<bool>({true, false, true, false}));
  model->clean_pass(state, ids_of({8, 9, 7, 6}));
  EXPECT_EQ(state.computed_places(), std::vector<bool>({true, true, true, true}));
}

TEST(LanguageModel, DecodedTokensRefreshesAfterTau) {
  const auto model = small_language_model();
  for (const int64_t tau : {1, 2, 3}) {
    AttentionConfig config = reuse("decoded_tokens");
    config.tau = tau;
    LanguageState state = model->make_state({.max_tokens = 64, .attention = config});
    model->prefill(state, some_ids(24, 90, 1));
    int64_t since = 0;
    for (int64_t step = 0; step < 4; ++step) {
      if (step > 0) {
        state.count_decoded({step - 1});
        ++since;
      }
      model->pass(state, ids_of({95, 95, 95, 95}), Pass::denoise(step));
      const bool refreshes = step == 0 || since >= tau;
      EXPECT_EQ(state.computed_places()[3], refreshes) << tau << ' ' << step;
      if (refreshes) since = 0;
    }
  }
}

TEST(LanguageModel, TextsOfABatchDoNotSeeEachOther) {
  const auto model = small_language_model();
  const at::Tensor a = some_ids(12, 90, 5), b = some_ids(12, 90, 6), block = some_ids(4, 90, 7);
  const auto run = [&](const at::Tensor& prompts, int64_t batch) {
    LanguageState state =
        model->make_state({.max_tokens = 32, .batch = batch, .attention = reuse("first_and_clean_pass")});
    model->prefill(state, prompts);
    const at::Tensor blocks = block.expand({batch, 4});
    model->pass(state, blocks, Pass::denoise(0));
    model->pass(state, blocks.roll(1, 1), Pass::denoise(1));
    return model->fused_pass(state, blocks, blocks);
  };
  const at::Tensor both = run(at::cat({a, b}), 2);
  EXPECT_TENSORS_NEAR_IN_NORM(both.narrow(0, 0, 1), run(a, 1), 1e-6);
  EXPECT_TENSORS_NEAR_IN_NORM(both.narrow(0, 1, 1), run(b, 1), 1e-6);
}

// Two layers of the size of SDAR-1.7B, in bfloat16 by kernels of our own and in float32 by LibTorch's operators.
TEST(LanguageModelCuda, PassesOfAPublishedSizeAreNearThoseInFloat32) {
  FLASHBLOCK_NEED_CUDA();
  const nlohmann::json sizes = {{"model_type", "sdar"},      {"vocab_size", 1024},     {"hidden_size", 2048},
                                {"intermediate_size", 6144}, {"num_hidden_layers", 2}, {"num_attention_heads", 16},
                                {"num_key_value_heads", 8},  {"head_dim", 128},        {"block_size", 4},
                                {"mask_token_id", 1023},     {"eos_token_id", 1022}};
  at::manual_seed(1);
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, shape] : language_shapes(sizes)) {
    const bool norm = shape.size() == 1;
    const double scale = norm ? 0.1 : 1 / std::sqrt(double(shape.back()));
    weights[name] = (at::randn(shape, testing::kGpu) * scale + (norm ? 1 : 0)).to(at::kBFloat16).cpu();
  }
  const auto store = WeightStore::from_tensors(weights);
  const LanguageConfig config = language_config_from_json(sizes.dump(), "two layers");
  const auto by_kernels = LanguageModel::load(store, config, testing::kGpu, at::kBFloat16);
  const auto by_operators = LanguageModel::load(store, config, testing::kGpu, at::kFloat);
  AttentionConfig rows = reuse("first_and_clean_pass");
  rows.recompute_decoded_rows = true;
  for (const int64_t batch : {1, 2})
    for (const int64_t block : {4, 8, 16})
      for (const AttentionConfig& attention : {kExactly, reuse("first_and_clean_pass"), reuse("every_pass"), rows}) {
        const auto logits_of = [&](const LanguageModel& model) {
          LanguageState state =
              model.make_state({.max_tokens = 256, .block_size = block, .batch = batch, .attention = attention});
          model.prefill(state, some_ids(batch * 128, 1000, 1).view({batch, 128}));
          at::Tensor ids = some_ids(batch * block, 1000, 2).view({batch, block});
          std::vector<at::Tensor> hidden = {model.pass(state, ids, Pass::denoise(0))};
          state.count_decoded({1});
          ids = ids.clone();
          ids.select(1, 1).fill_(5);
          hidden.push_back(model.pass(state, ids, Pass::denoise(1)));
          hidden.push_back(model.fused_pass(state, ids, some_ids(batch * block, 1000, 3).view({batch, block})));
          hidden.push_back(model.pass(state, ids, Pass::denoise(1)));
          return model.logits(state, at::cat(hidden, 1));
        };
        EXPECT_TENSORS_NEAR_IN_NORM(logits_of(*by_kernels), logits_of(*by_operators), 2e-2)
            << batch << ' ' << block << ' ' << to_string(attention.refresh);
      }
}

TEST(LanguageModel, SparseAttentionWithTheResidualIsNearerThanWithout) {
  const auto model = small_language_model();
  const at::Tensor prompt = some_ids(400, 90, 1);
  const auto logits_of = [&](const AttentionConfig& attention) {
    LanguageState state = model->make_state({.max_tokens = 512, .attention = attention});
    model->prefill(state, prompt);
    model->pass(state, ids_of({95, 95, 95, 95}), Pass::denoise(0));
    return model->logits(state, model->pass(state, ids_of({95, 7, 95, 95}), Pass::denoise(1))).clone();
  };
  const at::Tensor exact = logits_of(kExactly);
  for (const double density : {0.2, 0.3, 0.4}) {
    AttentionConfig sparse = reuse("first_and_clean_pass");
    sparse.density = density;
    const double with_residual = relative_norm_error(logits_of(sparse), exact);
    sparse.residual = AttentionConfig::Residual::kDropped;
    EXPECT_LT(with_residual, 0.95 * relative_norm_error(logits_of(sparse), exact)) << density;
  }
}

}  // namespace
}  // namespace flashblock
