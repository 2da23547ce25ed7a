#include "tests/support/model_folder_writer.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "models/video_geometry.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/torch_file_writer.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

using nlohmann::json;

// config.json with the keys of the published Wan models.
json published_config(const json& config) {
  json published = {{"_class_name", "WanModel"}, {"model_type", "t2v"}};
  for (const char* key : {"dim", "eps", "ffn_dim", "freq_dim", "in_dim", "num_heads", "num_layers", "out_dim",
                          "text_dim", "text_len", "patch_size"})
    published[key] = config.at(key);
  return published;
}

std::string model_yaml(const std::string& name, const json& config, int64_t latent_frames) {
  const VaeStrides strides = published_strides(config.at("in_dim"));
  const VideoGeometry geometry{.width = config.at("latent_width").get<int64_t>() * strides.width,
                               .height = config.at("latent_height").get<int64_t>() * strides.height,
                               .strides = strides};
  std::ostringstream yaml;
  yaml << std::boolalpha;
  yaml << "name: " << name << "\n"
       << "architecture: wan2.1\n"
       << "transformer: {file: transformer.pt, weights: generator_ema}\n"
       << "vae: vae.pth\n"
       << "recipe:\n"
       << "  frames_per_block: " << config.at("num_frame_per_block") << "\n"
       << "  window_frames: " << config.at("local_attn_size") << "\n"
       << "  sink_frames: " << config.at("sink_size") << "\n"
       << "  position_frames: " << config.value("position_frames", 1024) << "\n"
       << "  context_rule: " << config.value("context_rule", "window") << "\n"
       << "  sink_decay: " << config.value("sink_decay", 0.999) << "\n"
       << "  bank_latest_block: " << config.value("bank_latest_block", false) << "\n"
       << "  image_in_first_block: " << config.value("image_in_first_block", false) << "\n"
       << "  shot_offset_frames: " << config.value("shot_offset_frames", 0) << "\n"
       << "  timestep_shift: " << config.at("timestep_shift") << "\n"
       << "  steps: " << config.at("denoising_step_list") << "\n"
       << "  warp_steps: " << config.at("warp_denoising_step") << "\n"
       << "  context_noise: " << config.at("context_noise") << "\n"
       << "  kv_recache: " << config.value("kv_recache", true) << "\n"
       << "  unipc_steps: " << config.value("unipc_steps", 0) << "\n"
       << "  guidance_scale: 1.0\n"
       << "defaults: {size: " << geometry.width << "x" << geometry.height
       << ", fps: 16, seconds: " << static_cast<double>(geometry.frames_of(latent_frames)) / 16.0 << "}\n";
  return yaml.str();
}

}  // namespace

void write_model_folder(const std::filesystem::path& parity_file, const std::filesystem::path& folder) {
  const auto data = WeightStore::open(parity_file);
  const json config = parity_config(*data), vae = parity_config(*data, "vae");
  const std::string salt = data->metadata().at("weights_salt");
  const auto transformer = recorded_transformer_shapes(config);
  std::filesystem::create_directories(folder);
  write_torch_file(
      folder / "transformer.pt",
      {{{"generator", state_dict(formula_tensors(transformer, "other weights"), "model.")},
        {"generator_ema", state_dict(formula_tensors(transformer, salt), "model._fsdp_wrapped_module.")}}});
  write_torch_file(folder / "vae.pth", state_dict(formula_tensors(recorded_vae_shapes(vae), salt)));
  write_bytes(folder / "config.json", published_config(config).dump(2) + "\n");
  write_bytes(folder / "model.yaml", model_yaml(parity_file.stem().string(), config, data->shape("latents").at(1)));
}

}  // namespace flashblock::testing
