#include "render/video_identity.h"

#include <ATen/Parallel.h>
#include <sys/stat.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "core/device.h"
#include "core/error.h"
#include "core/html_page.h"
#include "core/sha256.h"
#include "models/lora_strength.h"
#include "render/choices.h"
#include "render/sidecar.h"
#include "settings/config_file.h"
#include "settings/config_identity.h"
#include "weights/checkpoint_files.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kDigest = "sha256:";
constexpr size_t kLongestValue = 60;  // characters of a value in a message

bool is_digest(const std::string& value) { return value.starts_with(kDigest); }

bool same_value(const std::string& a, const std::string& b) {
  if (a == b) return true;
  if (is_digest(a) == is_digest(b)) return false;
  const std::string &digest = is_digest(a) ? a : b, &secret = is_digest(a) ? b : a;
  return digest == std::string(kDigest) + sha256(secret);
}

std::string shown(const std::string& value) {
  if (value.empty()) return "nothing";
  return value.size() <= kLongestValue ? value : value.substr(0, kLongestValue) + "...";
}

std::string difference_text(const std::string& name, const std::string& there, const std::string& here) {
  if (is_digest(there) || is_digest(here)) return name + ": another one";
  return name + ": " + shown(there) + " there, " + shown(here) + " here";
}

const std::string* find_fact(const VideoIdentity& identity, const std::string& name) {
  const auto found =
      std::find_if(identity.facts.begin(), identity.facts.end(), [&](const auto& fact) { return fact.first == name; });
  return found == identity.facts.end() ? nullptr : &found->second;
}

std::vector<std::string> different_facts(const VideoIdentity& there, const VideoIdentity& here) {
  std::vector<std::string> result;
  for (const auto& [name, value] : there.facts) {
    const std::string* other = find_fact(here, name);
    if (!other || !same_value(value, *other)) result.push_back(difference_text(name, value, other ? *other : ""));
  }
  for (const auto& [name, value] : here.facts) {
    if (!find_fact(there, name)) result.push_back(difference_text(name, "", value));
  }
  return result;
}

/// The checksum of file `index`, computed if need be; empty if it is not known and cannot be.
std::string checksum_of(const VideoIdentity& identity, size_t index) {
  if (!identity.files[index].sha256.empty()) return identity.files[index].sha256;
  return identity.checksums ? identity.checksums->get().at(index).sha256 : "";
}

std::optional<std::string> different_file(const VideoIdentity& there, const VideoIdentity& here, size_t index) {
  const IdentityFile &a = there.files[index], &b = here.files[index];
  const std::string name = b.role + " (" + b.file.string() + ")";
  if (a.bytes != b.bytes) return name + ": " + std::to_string(a.bytes) + " bytes there, " + std::to_string(b.bytes);
  const bool untouched = a.modified_ns == b.modified_ns;
  if (untouched && (a.sha256.empty() || b.sha256.empty())) return std::nullopt;
  const std::string before = checksum_of(there, index);
  if (before.empty()) return name + ": changed since, and the video was left before its checksum was known";
  if (before != checksum_of(here, index)) return name + ": another content";
  return std::nullopt;
}

Json read_json(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return Json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
}

ErrorContext start_over_or_rename() {
  return {.key = "output", .remedies = {{"choose another name", "output", ""}, {"start over", "overwrite", "true"}}};
}

VideoIdentity from_json(const Json& json, const std::string& where) {
  VideoIdentity identity;
  try {
    identity.id = json.at("id");
    for (const auto& [name, value] : json.at("facts").items()) {
      identity.facts.emplace_back(name, value.get<std::string>());
    }
    for (const Json& file : json.at("files")) {
      identity.files.push_back({.role = file.at("role"),
                                .file = file.at("file").get<std::string>(),
                                .bytes = file.at("bytes"),
                                .modified_ns = file.at("modified_ns"),
                                .sha256 = file.at("sha256")});
    }
  } catch (const Json::exception&) {
    throw ConfigError(where + " does not state the identity of its video", start_over_or_rename());
  }
  return identity;
}

void refuse_another(const std::string& what, const std::string& differences) {
  if (differences.empty()) return;
  throw ConfigError(what + " is another video (" + differences + "); continue with the settings of that one",
                    start_over_or_rename());
}

/// A file as it is on disk now, without its checksum. Throws: MediaError if it cannot be read.
IdentityFile identity_file(const std::string& role, const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    throw MediaError("cannot read " + file.string() + ": " + std::strerror(errno));
  }
  return {.role = role,
          .file = file,
          .bytes = static_cast<uintmax_t>(status.st_size),
          .modified_ns = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

class FileList {
 public:
  FileList(const ModelDescription& model, const std::vector<ModelPart>& parts, WeightsFileLists& weights)
      : model_(model), parts_(parts), weights_(weights) {}

  void add(const std::string& role, const fs::path& file) {
    if (!file.empty()) files.push_back(identity_file(role, file));
  }
  void add_weights(ModelPart part, const std::string& role, const WeightsFile& weights) {
    if (!needed(part)) return;
    for (const fs::path& file : weights_.files_of(weights)) add(role, file);
  }
  void add_model() {
    add_weights(ModelPart::kTransformer, "transformer", model_.transformer);
    const auto& path = model_.transformer.path;
    const auto beside = (fs::is_directory(path) ? path : path.parent_path()) / "config.json";
    const bool named = !model_.transformer_config.empty();
    if (named || fs::exists(beside)) add("transformer.config", named ? model_.transformer_config : beside);
    add_weights(ModelPart::kTextEncoder, "text_encoder", model_.text_encoder);
    if (needed(ModelPart::kTokenizer)) add("tokenizer", model_.tokenizer);
    add_weights(ModelPart::kVae, "vae", model_.vae);
    for (const LoraFile& lora : model_.lora) {
      add_weights(ModelPart::kTransformer, "lora", {lora.path, lora.entry});
      if (needed(ModelPart::kTransformer)) add("lora.config", lora_config_file(lora.path));
    }
  }

  std::vector<IdentityFile> files;

 private:
  bool needed(ModelPart part) const { return std::find(parts_.begin(), parts_.end(), part) != parts_.end(); }

  const ModelDescription& model_;
  const std::vector<ModelPart>& parts_;
  WeightsFileLists& weights_;
};

/// The phrases that each prompt is encoded with, which the model file decides.
std::string added_phrases(const RenderSetup& setup) {
  Json added = Json::array();
  for (const PlannedPrompt& prompt : planned_prompts(setup))
    added.push_back(left_open(setup.choices, prompt.text, setup.config.model.choices));
  return json_line(added);
}

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

const char* const kIdentityFile = "video.json";

FileCache checksum_cache(bool use) {
  constexpr int64_t kMostBytes = 1 << 20;  // thousands of files
  return FileCache(use ? user_cache_folder("checksums") : fs::path(), kMostBytes);
}

WeightsFileLists::WeightsFileLists()
    : read_([](const WeightsFile& weights) { return read_checkpoint(weights.path).files; }) {}

const std::vector<fs::path>& WeightsFileLists::files_of(const WeightsFile& weights) {
  const std::pair key(weights.path, weights.entry);
  const auto found = known_.find(key);
  return found != known_.end() ? found->second : known_.emplace(key, read_(weights)).first->second;
}

VideoIdentity identify_video(const RenderSetup& setup, at::Device device, at::ScalarType dtype,
                             const std::vector<ModelPart>& parts, WeightsFileLists& weights) {
  const RenderConfig& config = setup.config;
  VideoIdentity identity;
  identity.facts = {{"program", "flashblock " FLASHBLOCK_VERSION},
                    {"libtorch", TORCH_VERSION},
                    {"media libraries", media_library_versions()},
                    {"device", describe_device(device)},
                    {"dtype", dtype_name(dtype)}};
  const at::Device decoder_device = model_options(config).decoder_device.value_or(device);
  if (describe_device(decoder_device) != describe_device(device))
    identity.facts.emplace_back("decoder device", describe_device(decoder_device));
  if (device.is_cpu() || decoder_device.is_cpu())
    identity.facts.emplace_back("threads", std::to_string(at::get_num_threads()));
  const size_t processes = resolve_devices(config.device, config.devices_per_video).size();
  if (processes > 1) identity.facts.emplace_back("processes", std::to_string(processes));
  if (!setup.choices.empty()) identity.facts.emplace_back("choices", added_phrases(setup));
  identity.facts.emplace_back("frames", std::to_string(setup.plan.frames));
  for (auto& fact : identity_facts(config)) identity.facts.push_back(std::move(fact));
  add_model_choices(config.model, identity);

  FileList list(config.model, parts, weights);
  list.add_model();
  for (const auto& [key, file] : identity_files(config)) list.add(key, file);
  identity.files = std::move(list.files);
  return identity;
}

std::shared_ptr<const FileChecksums> start_checksums(const VideoIdentity& identity, const RenderConfig& config) {
  std::vector<fs::path> files;
  for (const IdentityFile& file : identity.files) files.push_back(file.file);
  return std::make_shared<FileChecksums>(std::move(files), checksum_cache(config.cache));
}

std::string identity_json(const VideoIdentity& identity) {
  Json facts = Json::object(), files = Json::array();
  for (const auto& [name, value] : identity.facts) facts[name] = value;
  for (size_t i = 0; i < identity.files.size(); ++i) {
    const IdentityFile& file = identity.files[i];
    const bool known = !file.sha256.empty() || (identity.checksums && identity.checksums->ready());
    files.push_back({{"role", file.role},
                     {"file", file.file.string()},
                     {"bytes", file.bytes},
                     {"modified_ns", file.modified_ns},
                     {"sha256", known ? checksum_of(identity, i) : ""}});
  }
  return json_text({{"id", identity.id}, {"facts", facts}, {"files", files}}, 2);
}

std::string difference(const VideoIdentity& there, const VideoIdentity& here) {
  std::vector<std::string> all = different_facts(there, here);
  const auto roles = [](const VideoIdentity& identity) {
    std::string names;
    for (const IdentityFile& file : identity.files) names += (names.empty() ? "" : ", ") + file.role;
    return names;
  };
  if (roles(there) != roles(here)) {
    all.push_back(difference_text("files", roles(there), roles(here)));
  } else if (all.empty()) {  // checksums take time, and the settings say enough
    for (size_t i = 0; i < here.files.size(); ++i) {
      if (auto found = different_file(there, here, i)) all.push_back(*found);
    }
  }
  std::string text;
  for (const std::string& one : all) text += (text.empty() ? "" : "; ") + one;
  return text;
}

bool is_begun(const fs::path& video) {
  return fs::exists(parts_folder(video) / kIdentityFile) || fs::exists(parts_folder(video) / "000000.m4s");
}

VideoIdentity read_unfinished_identity(const fs::path& video) {
  const fs::path file = parts_folder(video) / kIdentityFile;
  return from_json(read_json(file), fs::exists(file) ? file.string() : parts_folder(video).string());
}

VideoIdentity read_unfinished_identity(const fs::path& video, const VideoIdentity& wanted) {
  VideoIdentity there = read_unfinished_identity(video);
  refuse_another(parts_folder(video).string(), difference(there, wanted));
  return there;
}

VideoIdentity read_complete_identity(const fs::path& video) {
  const fs::path sidecar = sidecar_file(video);
  const Json json = read_json(sidecar);
  const bool stated = json.is_object() && json.contains("identity");
  return from_json(stated ? json["identity"] : Json(), video.string() + " is complete, but " + sidecar.string());
}

VideoState find_video(const fs::path& video, const VideoIdentity& wanted) {
  const VideoState state = video_state(video);
  if (state == VideoState::kUnfinished && is_begun(video)) read_unfinished_identity(video, wanted);
  if (state == VideoState::kComplete) {
    refuse_another(video.string(), difference(read_complete_identity(video), wanted));
  }
  return state;
}

}  // namespace flashblock
