// The same weights give the same video in every container and naming convention in which models are published.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <gmock/gmock.h>

#include <functional>

#include "core/error.h"
#include "models/lora.h"
#include "models/text_encoder.h"
#include "tests/support/diffusers_names.h"
#include "tests/support/error_text.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/recorded_video.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/torch_file_writer.h"
#include "weights/tensor_file.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

NamedTensors prefixed(const std::string& prefix, NamedTensors tensors) {
  for (auto& [name, tensor] : tensors) name = prefix + name;
  return tensors;
}

// FSDP wraps every layer separately: the token is in the middle of the names.
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

/// Naming conventions of training code and packages for the transformer's tensors.
struct Naming {
  const char* name;
  std::function<NamedTensors(const NamedTensors&)> rename;
};

Naming with_prefix(const char* prefix) {
  return {prefix, [prefix](const NamedTensors& tensors) { return prefixed(prefix, tensors); }};
}

const Naming kNamings[] = {
    with_prefix(""),
    with_prefix("model."),
    with_prefix("model._fsdp_wrapped_module."),
    with_prefix("_fsdp_wrapped_module."),
    with_prefix("diffusion_model."),
    with_prefix("model.diffusion_model."),
    with_prefix("transformer."),
    with_prefix("base_model.model."),
    with_prefix("base_model.model.model."),
    with_prefix("_orig_mod."),
    with_prefix("module."),
    {"model. and wrapped layers",
     [](const NamedTensors& tensors) { return prefixed("model.", wrapped_layers(tensors)); }},
    {"diffusers", [](const NamedTensors& tensors) { return with_package_names(NameLayout::kTransformer, tensors); }}};

/// A file layout: writes `right` weights, and `wrong` ones beside them where possible, and returns what to open.
struct Container {
  const char* name;
  std::shared_ptr<const WeightStore> (*written)(const std::filesystem::path& folder, const NamedTensors& right,
                                                const NamedTensors& wrong);
};

const Container kContainers[] = {
    {"safetensors",
     [](const auto& folder, const auto& right, const auto&) {
       write_tensor_file(folder / "w.safetensors", right);
       return WeightStore::open(folder / "w.safetensors");
     }},
    {"flat .pt",
     [](const auto& folder, const auto& right, const auto&) {
       write_torch_file(folder / "w.pt", state_dict(right));
       return WeightStore::open(folder / "w.pt");
     }},
    {".pt with one entry",
     [](const auto& folder, const auto& right, const auto&) {
       write_torch_file(folder / "w.pt", {{{"generator", state_dict(right)}, {"step", int64_t{600}}}});
       return WeightStore::open(folder / "w.pt");
     }},
    {".pt with two halves",
     [](const auto& folder, const auto& right, const auto& wrong) {
       write_torch_file(folder / "w.pt", {{{"generator", state_dict(wrong)}, {"generator_ema", state_dict(right)}}});
       return WeightStore::open(folder / "w.pt", "generator_ema");
     }},
    {"nested .pt",
     [](const auto& folder, const auto& right, const auto& wrong) {
       write_torch_file(folder / "w.pt",
                        {{{"state", SavedDict{{{"model", state_dict(right)}, {"critic", state_dict(wrong)}}}}}});
       return WeightStore::open(folder / "w.pt", "state.model");
     }},
    {"shards by their folder",
     [](const auto& folder, const auto& right, const auto&) {
       write_shards(folder, "model", right, 3);
       return WeightStore::open(folder);
     }},
    {"shards by their index",
     [](const auto& folder, const auto& right, const auto&) {
       write_shards(folder, "model", right, 3);
       return WeightStore::open(folder / "model.safetensors.index.json");
     }},
    {"a folder with one .bin", [](const auto& folder, const auto& right, const auto&) {
       write_torch_file(folder / "pytorch_model.bin", state_dict(right));
       return WeightStore::open(folder);
     }}};

/// A video of one frame block whose weights are written and read again.
class CheckpointLoad : public ::testing::Test {
 protected:
  static at::Tensor latents() {
    KeepingSink sink;
    video_->render(sink);
    return sink.latents();
  }
  static at::Tensor frames() {
    KeepingSink sink;
    video_->render(sink);
    return sink.pixels();
  }
  /// Latents with the transformer in `path`.
  static at::Tensor latents_of(const std::filesystem::path& path, const std::string& entry = "") {
    video_->use_transformer(*WeightStore::open(path, entry));
    return latents();
  }

  static void SetUpTestSuite() {
    video_ = new RecordedVideo("pipeline_full");
    video_->plan.blocks = 1;
    video_->options.recipe.steps = {1000, 500};
    tensors_ = formula_tensors(transformer_shapes(video_->config()));
    others_ = with_other_numbers(tensors_);
    plain_ = latents();
  }
  static void TearDownTestSuite() {
    delete video_;
    tensors_.clear();
    others_.clear();
    plain_.reset();
  }

  TemporaryFolder folder_;
  static RecordedVideo* video_;
  static NamedTensors tensors_, others_;  ///< the video's weights; weights of another model
  static at::Tensor plain_;               ///< the video's latents
};

RecordedVideo* CheckpointLoad::video_ = nullptr;
NamedTensors CheckpointLoad::tensors_, CheckpointLoad::others_;
at::Tensor CheckpointLoad::plain_;

TEST_F(CheckpointLoad, EveryContainerWithEveryPrefixGivesTheSameTensors) {
  NamedTensors few = tensors_;  // only names matter: two numbers per tensor suffice
  for (auto& [name, tensor] : few) tensor = tensor.flatten().narrow(0, 0, 2).clone();
  for (const Naming& naming : kNamings) {
    const NamedTensors right = naming.rename(few), wrong = naming.rename(with_other_numbers(few));
    for (const Container& container : kContainers) {
      SCOPED_TRACE(std::string(container.name) + ", " + naming.name);
      const TemporaryFolder folder;
      const auto store = container.written(folder.path(), right, wrong);
      EXPECT_EQ(store->names().size(), few.size());
      for (const auto& [name, tensor] : few) EXPECT_TRUE(store->tensor(name).equal(tensor)) << name;
    }
  }
}

TEST_F(CheckpointLoad, EveryContainerAndEveryPrefixGivesTheSameLatents) {
  for (const Container& container : kContainers) {
    video_->use_transformer(*container.written(TemporaryFolder().path(), prefixed("model.", tensors_), others_));
    EXPECT_TENSORS_IDENTICAL(latents(), plain_) << container.name;
  }
  for (const Naming& naming : kNamings) {
    video_->use_transformer(*kContainers->written(TemporaryFolder().path(), naming.rename(tensors_), {}));
    EXPECT_TENSORS_IDENTICAL(latents(), plain_) << naming.name;
  }
}

TEST_F(CheckpointLoad, LowPrecisionFilesGiveTheLatentsOfTheirRoundedWeights) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf, at::kFloat8_e4m3fn}) {
    NamedTensors stored = tensors_, rounded = tensors_;
    for (auto& [name, tensor] : stored) tensor = tensor.to(dtype);
    for (auto& [name, tensor] : rounded) tensor = tensor.to(dtype).to(at::kFloat);
    write_tensor_file(folder_ / "rounded.safetensors", rounded);
    const at::Tensor expected = latents_of(folder_ / "rounded.safetensors");
    write_tensor_file(folder_ / "w.safetensors", stored);
    EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "w.safetensors"), expected) << dtype;
  }
}

// As LightX2V (NVFP4) and LongLive 2 (FourOverSix) publish them: the weights alone look sound, or are missing.
TEST_F(CheckpointLoad, QuantisedWeightsAreRefusedByName) {
  const at::Tensor scale = at::ones_like(tensors_.front().second).flatten().narrow(0, 0, 1);
  const std::string weight = "blocks.0.self_attn.q.weight", module = "model.blocks.0.self_attn.q.";
  for (const char* end : {"weight_scale_2", "weight_global_scale", "quantized_weight_values"}) {
    NamedTensors tensors = tensors_;
    for (auto& [name, tensor] : tensors)
      if (name == weight) tensor = tensor.to(at::kFloat8_e4m3fn);
    tensors = prefixed("model.", tensors);
    tensors.emplace_back(module + end, scale);
    if (std::string(end).starts_with("quantized"))
      std::erase_if(tensors, [&](const auto& tensor) { return tensor.first == "model." + weight; });
    write_tensor_file(folder_ / "w.safetensors", tensors);
    EXPECT_THAT(
        error_text<WeightsError>([&] { latents_of(folder_ / "w.safetensors"); }),
        AllOf(HasSubstr("quantised"), HasSubstr(std::string("blocks.0.self_attn.q.") + end), HasSubstr("bfloat16")));
  }
}

bool is_linear(const std::string& name, const at::Tensor& tensor) {
  return name.starts_with("blocks.") && name.ends_with(".weight") && tensor.dim() == 2;
}

// Kijai's and ComfyUI's spellings, with a scale per row and one for all.
TEST_F(CheckpointLoad, ScaledFloat8GivesTheLatentsOfItsValues) {
  for (const std::string spelling : {".scale_weight", ".weight_scale"}) {
    NamedTensors stored, values;
    for (const auto& [name, tensor] : tensors_) {
      if (!is_linear(name, tensor)) {
        stored.emplace_back(name, tensor);
        values.emplace_back(name, tensor);
        continue;
      }
      const at::Tensor most = spelling == ".scale_weight" ? tensor.abs().max() : tensor.abs().amax(1, true);
      const at::Tensor scale = most / 448, packed = (tensor / scale).to(at::kFloat8_e4m3fn);
      stored.emplace_back(name, packed);
      stored.emplace_back(name.substr(0, name.rfind('.')) + spelling, scale);
      values.emplace_back(name, packed.to(at::kFloat) * scale);
    }
    if (spelling == ".scale_weight") stored.emplace_back("scaled_fp8", at::ones({0}).to(at::kFloat8_e4m3fn));
    write_tensor_file(folder_ / "values.safetensors", values);
    write_tensor_file(folder_ / "w.safetensors", prefixed("model.diffusion_model.", stored));
    EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "w.safetensors"), latents_of(folder_ / "values.safetensors"))
        << spelling;
  }
}

TEST_F(CheckpointLoad, GgufGivesTheLatentsOfItsValues) {
  NamedTensors values;
  std::vector<GgufEntry> entries;
  for (const auto& [name, tensor] : tensors_) {
    const bool blocks = is_linear(name, tensor) && tensor.size(1) % 32 == 0;
    const uint32_t type = blocks ? 8 : tensor.dim() == 2 ? 1 : 0;
    entries.push_back(gguf_entry(name, tensor, type));
    values.emplace_back(name, gguf_values(tensor, type));
  }
  write_tensor_file(folder_ / "values.safetensors", values);
  write_gguf(folder_ / "w.gguf", entries);
  EXPECT_TENSORS_IDENTICAL(latents_of(folder_ / "w.gguf"), latents_of(folder_ / "values.safetensors"));
}

TEST_F(CheckpointLoad, AVaeOfDiffusersGivesTheSameFrames) {
  const at::Tensor frames_before = frames();
  const auto vae = formula_tensors(vae_shapes(parity_config(*video_->data, "vae").at("dim")));
  std::filesystem::create_directory(folder_ / "vae");
  write_tensor_file(folder_ / "vae/diffusion_pytorch_model.safetensors", with_package_names(NameLayout::kVae, vae));
  video_->use_decoder(*WeightStore::open(folder_ / "vae"));
  EXPECT_TENSORS_IDENTICAL(frames(), frames_before);
}

TEST_F(CheckpointLoad, TheWrongEntryGivesOtherLatentsAndNoEntryIsRefused) {
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
  video_->use_transformer(*with_lora(WeightStore::from_tensors({tensors_.begin(), tensors_.end()}),
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
  // The shared embedding may have both of its names, or the encoder's only.
  renamed.emplace_back("encoder.embed_tokens.weight", renamed.front().second);
  write_tensor_file(folder / "both.safetensors", renamed);
  EXPECT_TENSORS_IDENTICAL(embedding(WeightStore::open(folder / "both.safetensors")), plain);
  renamed.erase(renamed.begin());
  write_tensor_file(folder / "one.safetensors", renamed);
  EXPECT_TENSORS_IDENTICAL(embedding(WeightStore::open(folder / "one.safetensors")), plain);
  // ComfyUI's files may hold the tokenizer; GGUF files have llama.cpp's names.
  renamed.emplace_back("spiece_model", at::ones({9}).to(at::kByte));
  write_tensor_file(folder / "comfy.safetensors", renamed);
  EXPECT_TENSORS_IDENTICAL(embedding(WeightStore::open(folder / "comfy.safetensors")), plain);
  std::vector<GgufEntry> entries;
  for (const auto& [name, tensor] : with_package_names(NameLayout::kLlamaText, tensors))
    entries.push_back(gguf_entry(name, tensor, 0));
  write_gguf(folder / "umt5.gguf", entries, {{"general.architecture", "t5encoder"}});
  EXPECT_TENSORS_IDENTICAL(embedding(WeightStore::open(folder / "umt5.gguf")), plain);
}

}  // namespace
}  // namespace flashblock::testing
