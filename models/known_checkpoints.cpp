#include "models/known_checkpoints.h"

#include <cctype>

namespace flashblock {
namespace {

constexpr int64_t kDimOf1B = 1536, kDimOf5B = 3072, kDimOf14B = 5120;

// The first match counts. Source: the repositories named in configs/models.
constexpr PresetOfFile kPresets[] = {
    {"self_forcing_dmd_ema_as_generator", "opsdv-self-forcing", kDimOf1B},
    {"self_forcing_dmd", "self-forcing-dmd", kDimOf1B},
    {"self_forcing_sid", "self-forcing-sid", kDimOf1B},
    {"framewise_2step", "causal-forcing-framewise-2step", kDimOf1B},
    {"framewise_1step", "causal-forcing-framewise-1step", kDimOf1B},
    {"framewise/causal_forcing", "causal-forcing-framewise", kDimOf1B},
    {"causal_forcing_framewise", "causal-forcing-framewise", kDimOf1B},
    {"chunkwise/causal_forcing", "causal-forcing-chunkwise", kDimOf1B},
    {"chunkwise/ar/model", "sgf-chunkwise", kDimOf1B},
    {"framewise/ar/model", "sgf-framewise", kDimOf1B},
    {"chunkwise/model", "sgf-plus-chunkwise", kDimOf1B},
    {"framewise/model", "sgf-plus-framewise", kDimOf1B},
    {"rewardforcing", "reward-forcing", kDimOf1B},
    {"reward_forcing", "reward-forcing", kDimOf1B},
    {"memflow/base", "memflow", kDimOf1B},
    {"opsdv_longlive/longlive_base", "opsdv-longlive", kDimOf1B},
    {"opsd_v/longlive_base", "opsdv-longlive", kDimOf1B},
    {"longlive_base", "longlive-1.3b", kDimOf1B},
    {"longlive_1_3b", "longlive-1.3b", kDimOf1B},
    {"autoregressive_checkpoint_warp_4step_cfg2/", "causvid-4step", kDimOf1B},
    {"autoregressive_checkpoint/", "causvid", kDimOf1B},
    {"krea_realtime_video_14b", "krea-realtime-14b", kDimOf14B},
    {"wan_causal_dmd_v2v/", "streamdiffusionv2-t2v", kDimOf1B},
    {"sfwan2_1_t2v_1_3b_diffusers/transformer", "fastvideo-self-forcing-1.3b", kDimOf1B},
    {"/wan2_1_t2v_1_3b/diffusion_pytorch_model", "wan2.1-t2v-1.3b", kDimOf1B},
    {"/wan2_1_t2v_14b/diffusion_pytorch_model", "wan2.1-t2v-14b", kDimOf14B},
    {"/wan2_2_ti2v_5b/diffusion_pytorch_model", "wan2.2-ti2v-5b", kDimOf5B},
    {"longlive_2_0_5b/model_bf16", "longlive-2-5b", kDimOf5B},
    {"longlive_2_5b/model_bf16", "longlive-2-5b", kDimOf5B},
};

struct KnownIssue {
  const char* part;
  const char* text;
};
constexpr const char* kTrainingStage =
    "The file name indicates an intermediate stage of training, not a finished model: it loads, but renders poorly.";
constexpr const char* kRolling =
    "Rolling Forcing denoises several frame blocks jointly, which is not supported: it loads, but renders poorly.";
constexpr KnownIssue kKnownIssues[] = {
    {"ode_init", kTrainingStage},
    {"causal_ode", kTrainingStage},
    {"causal_cd", kTrainingStage},
    {"ar_diffusion", kTrainingStage},
    {"bidirectional_checkpoint", kTrainingStage},
    {"rolling_forcing", kRolling},
    {"rollingforcing", kRolling},
    {"chunkwise/longvideo", kRolling},
};

// /FOLDER/FOLDER/FILE of the path, normalized for matching.
std::string searchable_name(const std::filesystem::path& path) {
  std::string name;
  std::filesystem::path rest = path;
  for (int names = 0; names < 3 && rest.has_filename(); ++names, rest = rest.parent_path())
    name = '/' + rest.filename().string() + name;
  for (char& c : name)
    c = c == '-' || c == '.' || c == '+' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

std::span<const PresetOfFile> presets_of_files() { return kPresets; }

std::string known_issue(const std::filesystem::path& path) {
  const std::string name = searchable_name(path);
  for (const auto& [part, text] : kKnownIssues)
    if (name.find(part) != std::string::npos) return text;
  return {};
}

KnownCheckpoint recognize_checkpoint(const std::filesystem::path& path, int64_t dim) {
  KnownCheckpoint known;
  if (std::string issue = known_issue(path); !issue.empty()) {
    known.notes.push_back(std::move(issue));
    return known;
  }
  const std::string name = searchable_name(path);
  for (const auto& [part, preset, its_dim] : kPresets) {
    if (name.find(part) == std::string::npos) continue;
    if (dim == 0 || dim == its_dim)
      known.presets.emplace_back(preset);
    else
      known.notes.push_back(std::string("The file name is that of ") + preset + ", which is " +
                            std::to_string(its_dim) + " wide; this one is " + std::to_string(dim) + ".");
    break;
  }
  return known;
}

}  // namespace flashblock
