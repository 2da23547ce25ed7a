// The same weights in every container and under every name in which models are published give the same film.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones_like.h>
#include <gmock/gmock.h>

#include <functional>

#include "core/error.h"
#include "core/tensor_file.h"
#include "models/lora.h"
#include "models/text_encoder.h"
#include "tests/pipeline/recorded_film.h"
#include "tests/support/diffusers_names.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/torch_file_writer.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

NamedTensors prefixed(const std::string& prefix, NamedTensors tensors) {
  for (auto& [name, tensor] : tensors) name = prefix + name;
  return tensors;
}

// FSDP wraps every layer for itself: the token stands in the middle of the names.
NamedTensors wrapped_layers(NamedTensors tensors) {
  for (auto& [name, tensor] : tensors) {
    const size_t dot = name.find('.', sizeof("blocks.") - 1);
    if (name.starts_with("blocks.")) name.insert(dot + 1, "_fsdp_wrapped_module.");
  }
  return tensors;
}

NamedTensors with_other_numbers(NamedTensors tensors) {
  for (auto& [name, tensor] : tensors) tensor = tensor.flip(0);
  return tensors;
}

/// A film of one frame block whose weights are written and read again.
class CheckpointLoad : public ::testing::Test {
 protected:
  static at::Tensor latents() {
    KeepingSink sink;
    film_->render(sink);
    return sink.latents();
  }
  static at::Tensor pictures() {
    KeepingSink sink;
    film_->render(sink);
    return sink.pixels();
  }
  /// Latents with the transformer in `path`.
  static at::Tensor latents_of(const std::filesystem::path& path, const std::string& entry = "") {
    film_->use_transformer(*WeightStore::open(path, entry));
    return latents();
  }

  static void SetUpTestSuite() {
    film_ = new RecordedFilm("pipeline_full");
    film_->plan.blocks = 1;
    film_->options.recipe.steps = {1000, 500};
    tensors_ = formula_tensors(transformer_shapes(film_->film));
    others_ = with_other_numbers(tensors_);
    plain_ = latents();
  }
  static void TearDownTestSuite() {
    delete film_;
    tensors_.clear();
    others_.clear();
    plain_.reset();
  }

  TemporaryFolder folder_;
  static RecordedFilm* film_;
  static NamedTensors tensors_, others_;  ///< the film's weights; weights of another model
  static at::Tensor plain_;               ///< the film's latents
};

RecordedFilm* CheckpointLoad::film_ = nullptr;
NamedTensors CheckpointLoad::tensors_, CheckpointLoad::others_;
at::Tensor CheckpointLoad::plain_;

TEST_F(CheckpointLoad, EveryPrefixGivesTheSameLatents) {
  for (const char* prefix : {"", "model.", "model._fsdp_wrapped_module.", "diffusion_model.", "model.diffusion_model.",
                             "transformer.", "base_model.model.", "base_model.model.model.", "_orig_mod.", "module."}) {
    write_tensor_file(folder_ / "w.safetensors", prefixed(prefix, tensors_));
    EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "w.safetensors"), plain_) << prefix;
  }
  write_tensor_file(folder_ / "w.safetensors", prefixed("model.", wrapped_layers(tensors_)));
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "w.safetensors"), plain_);
}

TEST_F(CheckpointLoad, EveryContainerGivesTheSameLatents) {
  const SavedDict right = state_dict(tensors_, "model."), wrong = state_dict(others_, "model.");
  write_torch_file(folder_ / "flat.pt", right);
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "flat.pt"), plain_);
  write_torch_file(folder_ / "one.pt", {{{"generator", right}, {"step", int64_t{600}}}});
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "one.pt"), plain_);
  write_torch_file(folder_ / "halves.pt", {{{"generator", wrong}, {"generator_ema", right}}});
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "halves.pt", "generator_ema"), plain_);
  write_torch_file(folder_ / "nested.pt", {{{"state", SavedDict{{{"model", right}, {"critic", wrong}}}}}});
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "nested.pt", "state.model"), plain_);
  write_shards(folder_ / "shards", "model", tensors_, 3);
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "shards"), plain_);
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "shards/model.safetensors.index.json"), plain_);
  std::filesystem::create_directory(folder_ / "alone");
  write_torch_file(folder_ / "alone/model.bin", right);
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "alone"), plain_);
}

TEST_F(CheckpointLoad, DiffusersNamesGiveTheSameLatentsAndPictures) {
  write_shards(folder_ / "transformer", "diffusion_pytorch_model",
               with_package_names(NameLayout::kTransformer, tensors_), 2);
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "transformer"), plain_);
  const at::Tensor pictures_before = pictures();
  const auto vae = formula_tensors(vae_shapes(parity_config(*film_->data, "vae").at("dim")));
  std::filesystem::create_directory(folder_ / "vae");
  write_tensor_file(folder_ / "vae/diffusion_pytorch_model.safetensors", with_package_names(NameLayout::kVae, vae));
  film_->use_decoder(*WeightStore::open(folder_ / "vae"));
  EXPECT_TENSORS_IDENTICAL(pictures(), pictures_before);
}

TEST_F(CheckpointLoad, TheWrongHalfGivesOtherLatentsAndNoHalfIsRefused) {
  write_torch_file(folder_ / "halves.pt",
                   {{{"generator", state_dict(others_, "model.")}, {"generator_ema", state_dict(tensors_, "model.")}}});
  EXPECT_FALSE(tensors_close(latents_of(folder_ / "halves.pt", "generator"), plain_, 1e-2, 1e-2));
  EXPECT_THAT(error_text<WeightsError>([&] { latents_of(folder_ / "halves.pt"); }),
              AllOf(HasSubstr("generator, generator_ema"), HasSubstr("weights:")));
  EXPECT_THAT(error_text<WeightsError>([&] { latents_of(folder_ / "halves.pt", "ema"); }), HasSubstr("no entry 'ema'"));
}

TEST_F(CheckpointLoad, EverythingThatDoesNotFitIsListedTogether) {
  NamedTensors wrong = with_package_names(NameLayout::kTransformer, tensors_);
  std::erase_if(wrong, [](const auto& tensor) { return tensor.first == "blocks.1.attn2.to_k.bias"; });
  for (auto& [name, tensor] : wrong)
    if (name == "blocks.0.ffn.net.2.weight") tensor = tensor.t().contiguous();
  wrong.emplace_back("blocks.0.attn1.to_gate.weight", wrong.front().second);
  write_tensor_file(folder_ / "w.safetensors", wrong);
  EXPECT_THAT(error_text<WeightsError>([&] { latents_of(folder_ / "w.safetensors"); }),
              AllOf(HasSubstr("3 tensors do not fit"), HasSubstr("missing 'blocks.1.cross_attn.k.bias'"),
                    HasSubstr("'blocks.0.ffn.2.weight' has the shape"),
                    HasSubstr("unexpected 'blocks.0.self_attn.to_gate.weight'")));
}

TEST_F(CheckpointLoad, AMergedAdapterIsACheckpointMergedBeforehand) {
  NamedTensors adapter, merged = tensors_;
  for (auto& [name, tensor] : merged) {
    if (name.find("attn.") == std::string::npos || tensor.dim() != 2) continue;
    const std::string module = name.substr(0, name.size() - std::string(".weight").size());
    const at::Tensor down = formula_data(module + " A", {4, tensor.size(1)}, 0.3);
    const at::Tensor up = formula_data(module + " B", {tensor.size(0), 4}, 0.3);
    adapter.emplace_back("base_model.model." + module + ".lora_A.weight", down);
    adapter.emplace_back("base_model.model." + module + ".lora_B.weight", up);
    tensor = (tensor.to(at::kDouble) + 0.5 * up.to(at::kDouble).matmul(down.to(at::kDouble))).to(at::kFloat);
  }
  write_tensor_file(folder_ / "merged.safetensors", merged);
  write_torch_file(folder_ / "lora.pt", {{{"generator_lora", state_dict(adapter)}}});
  const at::Tensor expected = latents_of(folder_ / "merged.safetensors");
  film_->use_transformer(*with_lora(WeightStore::from_tensors({tensors_.begin(), tensors_.end()}),
                                    {{WeightStore::open(folder_ / "lora.pt"), 0.5}}));
  EXPECT_TENSORS_CLOSE(latents(), expected, 1e-4, 1e-4);
  EXPECT_FALSE(tensors_close(expected, plain_, 1e-2, 1e-2)) << "the adapter changes nothing";
}

TEST(TextEncoderLoad, TransformersNamesGiveTheSameEmbedding) {
  const nlohmann::json config = {{"vocab_size", 50}, {"dim", 32},       {"dim_attn", 32},   {"dim_ffn", 48},
                                 {"num_heads", 4},   {"num_layers", 2}, {"num_buckets", 32}};
  const auto tensors = formula_tensors(umt5_shapes(config));
  const at::Tensor ids = at::arange(2, 12).unsqueeze(0), mask = at::ones_like(ids);
  const TemporaryFolder folder;
  NamedTensors renamed = with_package_names(NameLayout::kTextEncoder, tensors);
  const auto embedding = [&](std::shared_ptr<const WeightStore> weights) {
    return TextEncoder(std::move(weights), at::kCPU, at::kFloat).forward({{.ids = ids, .mask = mask}}).front();
  };
  const at::Tensor plain = embedding(WeightStore::from_tensors({tensors.begin(), tensors.end()}));
  write_shards(folder / "text_encoder", "model", renamed, 2);
  EXPECT_TENSORS_IDENTICAL(embedding(WeightStore::open(folder / "text_encoder")), plain);
  // The shared embedding may be there under both of its names, or under the encoder's alone.
  renamed.emplace_back("encoder.embed_tokens.weight", renamed.front().second);
  write_tensor_file(folder / "both.safetensors", renamed);
  EXPECT_TENSORS_IDENTICAL(embedding(WeightStore::open(folder / "both.safetensors")), plain);
  renamed.erase(renamed.begin());
  write_tensor_file(folder / "one.safetensors", renamed);
  EXPECT_TENSORS_IDENTICAL(embedding(WeightStore::open(folder / "one.safetensors")), plain);
}

}  // namespace
}  // namespace flashblock::testing
