#include "render/describe_video.h"

#include <ATen/Parallel.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "core/device.h"
#include "render/sidecar.h"
#include "settings/config_file.h"
#include "settings/config_identity.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

/// Where checksums are kept from run to run; holds nothing if the configuration says so.
FileCache checksum_cache(const RenderConfig& config) {
  constexpr int64_t kMostBytes = 1 << 20;  // thousands of files
  return FileCache(config.cache ? user_cache_folder("checksums") : std::filesystem::path(), kMostBytes);
}

class FileList {
 public:
  FileList(const ModelDescription& model, const std::vector<ModelPart>& parts) : model_(model), parts_(parts) {}

  void add(const std::string& role, const std::filesystem::path& file) {
    if (!file.empty()) files.push_back(identity_file(role, file));
  }
  void add_weights(ModelPart part, const std::string& role, const WeightsFile& weights) {
    if (!needed(part)) return;
    const auto store = WeightStore::open(weights.path, weights.entry);
    for (const std::filesystem::path& file : store->files()) add(role, file);
  }
  void add_model() {
    add_weights(ModelPart::kTransformer, "transformer", model_.transformer);
    const auto& path = model_.transformer.path;
    const auto beside = (std::filesystem::is_directory(path) ? path : path.parent_path()) / "config.json";
    const bool named = !model_.transformer_config.empty();
    if (named || std::filesystem::exists(beside)) add("transformer.config", named ? model_.transformer_config : beside);
    add_weights(ModelPart::kTextEncoder, "text_encoder", model_.text_encoder);
    if (needed(ModelPart::kTokenizer)) add("tokenizer", model_.tokenizer);
    add_weights(ModelPart::kVae, "vae", model_.vae);
    for (const LoraFile& lora : model_.lora) add_weights(ModelPart::kTransformer, "lora", {lora.path, lora.entry});
  }

  std::vector<IdentityFile> files;

 private:
  bool needed(ModelPart part) const { return std::find(parts_.begin(), parts_.end(), part) != parts_.end(); }

  const ModelDescription& model_;
  const std::vector<ModelPart>& parts_;
};

void add_model_choices(const ModelDescription& model, VideoIdentity& identity) {
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) identity.facts.emplace_back(name, value);
  };
  add("transformer.weights", model.transformer.entry);
  add("text_encoder.weights", model.text_encoder.entry);
  add("vae.weights", model.vae.entry);
  for (const LoraFile& lora : model.lora) add("lora", lora.entry + " x " + std::to_string(lora.scale));
}

}  // namespace

VideoIdentity describe_video(const RenderSetup& setup, at::Device device, at::ScalarType dtype,
                             const std::vector<ModelPart>& parts) {
  const RenderConfig& config = setup.config;
  VideoIdentity identity;
  identity.facts = {{"program", "flashblock " FLASHBLOCK_VERSION},
                    {"libtorch", TORCH_VERSION},
                    {"media libraries", media_library_versions()},
                    {"device", describe_device(device)},
                    {"dtype", dtype_name(dtype)}};
  if (device.is_cpu()) identity.facts.emplace_back("threads", std::to_string(at::get_num_threads()));
  identity.facts.emplace_back("frames", std::to_string(setup.plan.frames));
  for (auto& fact : identity_facts(config)) identity.facts.push_back(std::move(fact));
  add_model_choices(config.model, identity);

  FileList list(config.model, parts);
  list.add_model();
  for (const auto& [key, file] : identity_files(config)) list.add(key, file);
  identity.files = std::move(list.files);
  return identity;
}

std::shared_ptr<const FileChecksums> start_checksums(const VideoIdentity& identity, const RenderConfig& config) {
  std::vector<std::filesystem::path> files;
  for (const IdentityFile& file : identity.files) files.push_back(file.file);
  return std::make_shared<FileChecksums>(std::move(files), checksum_cache(config));
}

bool is_weights(const IdentityFile& file) {
  constexpr std::array kRoles = {"transformer", "text_encoder", "vae", "lora"};
  return std::find(kRoles.begin(), kRoles.end(), file.role) != kRoles.end();
}

}  // namespace flashblock
