// The language model against the published one: passes, caches, and both sides of attention.
#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <string>

#include "attention/grouped_heads.h"
#include "language/language_model.h"
#include "tests/language/language_cases.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

struct LanguageParityCase {
  std::string data;
  at::ScalarType dtype;
  double tolerance;
  AttentionConfig attention = text_attention();
  at::Device device = at::kCPU;
  LayerPlacement placement = LayerPlacement::kResident;
};

class LanguageRun {
 public:
  explicit LanguageRun(const LanguageParityCase& what)
      : data_(parity_data(what.data)),
        model_(language_parity_model(*data_, what.dtype, "", what.device, what.placement)),
        state_(model_->make_state({.max_tokens = 64,
                                   .block_size = model_->config().block_size,
                                   .prefill_tokens = 2 * model_->config().block_size,
                                   .attention = what.attention})),
        what_(what) {}

  at::Tensor data(const std::string& name) const { return data_->tensor(name); }
  at::Tensor ids(const std::string& name) const { return data(name).to(at::kLong).unsqueeze(0); }
  at::Tensor logits(const at::Tensor& hidden) { return model_->logits(state_, hidden)[0]; }
  void expect_near(const at::Tensor& actual, const std::string& name) const {
    EXPECT_TENSORS_NEAR_IN_NORM(actual, data(name), what_.tolerance) << what_.data << ' ' << name;
  }

  void prefill_and_compare() {
    const int64_t length = std::stoll(data_->metadata().at("prefill_length"));
    const at::Tensor prompt = ids("prompt").narrow(1, 0, length);
    expect_near(logits(model_->prefill(state_, prompt, LanguageModel::Output::kHidden)), "prefill.logits");
  }

  void compare_cache() const {
    for (int64_t layer = 0; layer < model_->config().layers; ++layer) {
      const KeyRange range = state_.committed(layer);
      expect_near(range.keys[0], "final.key." + std::to_string(layer));
      expect_near(range.values[0], "final.value." + std::to_string(layer));
    }
  }

  std::shared_ptr<const WeightStore> data_;
  std::shared_ptr<const LanguageModel> model_;
  LanguageState state_;
  LanguageParityCase what_;
};

void expect_published_passes(const LanguageParityCase& what) {
  LanguageRun run(what);
  run.prefill_and_compare();
  for (const std::string pass : {"pass.0", "pass.1"}) {
    const int64_t step = pass == "pass.0" ? 0 : 1;
    run.expect_near(run.logits(run.model_->pass(run.state_, run.ids(pass + ".ids"), Pass::denoise(step))),
                    pass + ".logits");
  }
  const at::Tensor clean = run.ids("pass.2.ids");
  run.expect_near(run.logits(run.model_->clean_pass(run.state_, clean, LanguageModel::Output::kHidden)),
                  "pass.2.logits");
  run.compare_cache();
  run.expect_near(run.logits(run.model_->pass(run.state_, run.ids("next.ids"), Pass::denoise(0))), "next.logits");
}

// The clean pass and the first pass of the next block in one call.
void expect_published_fused_pass(const LanguageParityCase& what) {
  LanguageRun run(what);
  run.prefill_and_compare();
  run.model_->pass(run.state_, run.ids("pass.1.ids"), Pass::denoise(0));
  run.expect_near(run.logits(run.model_->fused_pass(run.state_, run.ids("pass.2.ids"), run.ids("next.ids"))),
                  "next.logits");
  run.compare_cache();
}

const AttentionConfig kExactText{.mode = AttentionConfig::Mode::kExact};
const AttentionConfig kEveryPass{.refresh = "every_pass", .correction = AttentionConfig::Correction::kNone};

TEST(LanguageParity, Float32PassesAsPublished) {
  for (const std::string data : {"language_block4", "language_block8"})
    for (const AttentionConfig& attention : {kExactText, kEveryPass}) {
      expect_published_passes({data, at::kFloat, 2e-6, attention});
      expect_published_fused_pass({data, at::kFloat, 2e-6, attention});
    }
}

TEST(LanguageParity, Bfloat16PassesAsPublished) {
  for (const std::string data : {"language_block4_bf16", "language_block8_bf16"}) {
    expect_published_passes({data, at::kBFloat16, 0.02, kExactText});
    expect_published_fused_pass({data, at::kBFloat16, 0.02, kExactText});
  }
}

TEST(LanguageParity, StreamedLayersGiveTheSame) {
  expect_published_passes({"language_block4", at::kFloat, 2e-6, kExactText, at::kCPU, LayerPlacement::kStreamed});
}

TEST(LanguageParityCuda, PassesAsPublished) {
  FLASHBLOCK_NEED_CUDA();
  for (const std::string data : {"language_block4", "language_block8"})
    for (const AttentionConfig& attention : {kExactText, kEveryPass}) {
      expect_published_passes({data, at::kFloat, 2e-6, attention, testing::kGpu});
      expect_published_fused_pass({data, at::kFloat, 2e-6, attention, testing::kGpu});
      expect_published_passes({data + "_bf16", at::kBFloat16, 0.02, attention, testing::kGpu});
      expect_published_fused_pass({data + "_bf16", at::kBFloat16, 0.02, attention, testing::kGpu});
    }
  expect_published_passes({"language_block4", at::kFloat, 2e-6, kExactText, testing::kGpu, LayerPlacement::kStreamed});
}

TEST(LanguageParity, BothSidesOfAttentionAsInTheReference) {
  for (const std::string name : {"language_block4", "language_block8"}) {
    const auto data = parity_data(name);
    const auto model = language_parity_model(*data, at::kFloat);
    const LanguageConfig& config = model->config();
    KeptStates kept;
    LanguageState state = model->make_state(
        {.max_tokens = 64, .block_size = config.block_size, .attention = kEveryPass, .observer = &kept});
    const int64_t length = std::stoll(data->metadata().at("prefill_length"));
    model->prefill(state, data->tensor("prompt").to(at::kLong).unsqueeze(0).narrow(1, 0, length));
    model->pass(state, data->tensor("pass.0.ids").to(at::kLong).unsqueeze(0), Pass::denoise(0));
    ASSERT_EQ(static_cast<int64_t>(kept.layers.size()), config.layers);
    for (const auto& [layer, sides] : kept.layers) {
      const std::string end = "." + std::to_string(layer);
      const auto expect_side = [&](const AttentionState& side, const std::string& front) {
        EXPECT_TENSORS_NEAR_IN_NORM(ungroup_queries(side.output, config.group())[0],
                                    data->tensor(front + "output" + end), 2e-6);
        const at::Tensor lse = side.lse.transpose(1, 2).unsqueeze(-1);  // [B, rows, K, 1]
        EXPECT_TENSORS_NEAR_IN_NORM(ungroup_queries(lse, config.group())[0].squeeze(-1),
                                    data->tensor(front + "lse" + end), 2e-6);
      };
      expect_side(sides.external, "pass.0.external.");
      expect_side(sides.internal, "pass.0.internal.");
      const at::Tensor merged = merge_by_operators(sides.external, sides.internal).output;
      EXPECT_TENSORS_NEAR_IN_NORM(ungroup_queries(merged, config.group())[0].flatten(1),
                                  data->tensor("pass.0.attention" + end), 2e-6);
    }
  }
}

}  // namespace
}  // namespace flashblock
