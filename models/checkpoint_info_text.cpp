#include "models/checkpoint_info_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

namespace flashblock {
namespace {

constexpr size_t kListedTensors = 8;

struct KindText {
  CheckpointKind kind;
  const char* name;
  const char* words;
};
constexpr std::array kKinds = {
    KindText{CheckpointKind::kWanTransformer, "wan_transformer", "Wan video transformer, text to video"},
    KindText{CheckpointKind::kWanImageTransformer, "wan_image_transformer", "Wan video transformer, image to video"},
    KindText{CheckpointKind::kTextEncoder, "umt5", "UMT5 text encoder"},
    KindText{CheckpointKind::kWanVae, "wan_vae", "Wan VAE"},
    KindText{CheckpointKind::kTinyVae, "taehv", "tiny VAE (TAEHV)"},
    KindText{CheckpointKind::kLora, "lora", "low-rank adapter (LoRA)"},
    KindText{CheckpointKind::kUnknown, "unknown", "weights of an unknown kind"},
};

const KindText& text_of(CheckpointKind kind) {
  return *std::find_if(kKinds.begin(), kKinds.end(), [&](const KindText& text) { return text.kind == kind; });
}

const char* name_of(NameLayout layout) {
  switch (layout) {
    case NameLayout::kTransformer:
    case NameLayout::kVae:
    case NameLayout::kResidualVae:
      return "diffusers";
    case NameLayout::kTextEncoder:
      return "transformers";
    case NameLayout::kLlamaText:
      return "llama.cpp";
    case NameLayout::kPublished:
      break;
  }
  return "wan";
}

std::string with_unit(double value, const char* unit) {
  const char* prefixes[] = {"", "k", "M", "G", "T"};
  size_t step = 0;
  for (; value >= 1000.0 && step + 1 < std::size(prefixes); ++step) value /= 1000.0;
  char text[48];
  std::snprintf(text, sizeof(text), step == 0 ? "%.0f" : "%.2f", value);
  const std::string whole_unit = std::string(prefixes[step]) + unit;
  return whole_unit.empty() ? text : text + (" " + whole_unit);
}

std::string joined(const std::vector<std::string>& items, size_t limit) {
  std::string text;
  for (size_t i = 0; i < std::min(items.size(), limit); ++i) text += (i ? ", " : "") + items[i];
  if (items.size() > limit) text += " and " + std::to_string(items.size() - limit) + " more";
  return text;
}

std::string size_text(const VideoGeometry& geometry) {
  return std::to_string(geometry.width) + "x" + std::to_string(geometry.height);
}

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

std::string range_text(const NumberRange& range) {
  return number_text(range.least) + (range.least == range.largest ? "" : " to " + number_text(range.largest));
}

std::string lora_text(const LoraSummary& lora) {
  std::string text;
  if (lora.products > 0) {
    const std::vector<std::string> from(lora.alpha_from.begin(), lora.alpha_from.end());
    text += "rank " + range_text(lora.rank) + ", alpha " + range_text(lora.alpha) + " (from " +
            joined(from, from.size()) + "), strength " + range_text(lora.strength) + " (alpha / " +
            (lora.square_root ? "sqrt(rank)" : "rank") + "), " + std::to_string(lora.products) + " products";
  }
  if (lora.differences > 0)
    text += (text.empty() ? "" : ", ") + std::to_string(lora.differences) + " modules with differences";
  return text.empty() ? "changes nothing" : text;
}

void write_set(std::ostream& out, const WeightSetInfo& set) {
  out << "    " << (set.entry.empty() ? "" : set.entry + ": ") << describe(set.kind) << ", " << set.tensors
      << " tensors, " << with_unit(static_cast<double>(set.parameters), "") << " parameters, " << set.dtypes;
  if (set.layout != NameLayout::kPublished) out << ", names of " << name_of(set.layout);
  out << "\n";
  std::vector<std::string> sizes;
  for (const auto& [name, value] : set.geometry) sizes.push_back(name + " " + std::to_string(value));
  if (set.lora)
    out << "      " << lora_text(*set.lora) << "\n";
  else if (!sizes.empty())
    out << "      " << joined(sizes, sizes.size()) << "\n";
  if (!set.extras.empty()) out << "      passed over, no weights: " << joined(set.extras, kListedTensors) << "\n";
  if (!set.problem.empty()) out << "      cannot be used: " << set.problem << "\n";
  if (set.memory)
    out << "      at " << size_text(set.memory->geometry) << " in bfloat16: weights "
        << with_unit(static_cast<double>(set.memory->weights_bytes), "B") << ", keys and values of "
        << set.memory->window_frames << " latent frames "
        << with_unit(static_cast<double>(set.memory->cache_bytes), "B") << "\n";
  if (!set.quantized.empty())
    out << "      quantized (it has " << set.quantized
        << "), which is not supported; use the release in bfloat16 or float32\n";
  if (!set.missing.empty()) out << "      missing: " << joined(set.missing, kListedTensors) << "\n";
}

void write_checkpoint(std::ostream& out, const CheckpointInfo& checkpoint) {
  out << "  " << checkpoint.path.string();
  if (!checkpoint.problem.empty()) {
    out << "\n    cannot be read: " << checkpoint.problem << "\n";
    return;
  }
  out << " (" << with_unit(static_cast<double>(checkpoint.bytes), "B");
  if (checkpoint.files.size() > 1) out << " in " << checkpoint.files.size() << " files";
  out << ")\n";
  for (const WeightSetInfo& set : checkpoint.sets) write_set(out, set);
  if (!checkpoint.presets.empty())
    out << "    matching preset: " << joined(checkpoint.presets, checkpoint.presets.size()) << " (configs/models)\n";
  for (const std::string& note : checkpoint.notes) out << "    " << note << "\n";
}

nlohmann::json memory_json(const TransformerMemory& memory) {
  return {{"size", size_text(memory.geometry)},
          {"dtype", "bfloat16"},
          {"window_frames", memory.window_frames},
          {"weights_bytes", memory.weights_bytes},
          {"cache_bytes", memory.cache_bytes}};
}

/// One number, or the least and the largest.
nlohmann::json range_json(const NumberRange& range) {
  if (!range.any) return nullptr;
  if (range.least == range.largest) return range.least;
  return {range.least, range.largest};
}

nlohmann::json lora_json(const LoraSummary& lora) {
  return {{"rank", range_json(lora.rank)},         {"alpha", range_json(lora.alpha)}, {"alpha_from", lora.alpha_from},
          {"strength", range_json(lora.strength)}, {"square_root", lora.square_root}, {"products", lora.products},
          {"differences", lora.differences}};
}

nlohmann::json set_json(const WeightSetInfo& set) {
  nlohmann::json geometry = nlohmann::json::object();
  for (const auto& [name, value] : set.geometry) geometry[name] = value;
  nlohmann::json json = {{"entry", set.entry},           {"kind", name_of(set.kind)}, {"tensors", set.tensors},
                         {"parameters", set.parameters}, {"dtypes", set.dtypes},      {"names", name_of(set.layout)},
                         {"geometry", geometry},         {"missing", set.missing},    {"quantized", set.quantized},
                         {"extras", set.extras},         {"problem", set.problem}};
  if (set.lora) json["lora"] = lora_json(*set.lora);
  if (set.memory) json["memory"] = memory_json(*set.memory);
  return json;
}

}  // namespace

std::string describe(CheckpointKind kind) { return text_of(kind).words; }
std::string name_of(CheckpointKind kind) { return text_of(kind).name; }

std::string describe(const ModelInfo& info) {
  std::ostringstream out;
  out << info.path.string() << "\n";
  if (info.checkpoints.empty()) out << "  no weight files (*.safetensors, *.pt, *.pth, *.bin) in this folder\n";
  for (const CheckpointInfo& checkpoint : info.checkpoints) write_checkpoint(out, checkpoint);
  if (!info.missing_parts.empty())
    out << "  missing for a complete model: " << joined(info.missing_parts, info.missing_parts.size()) << "\n";
  return out.str();
}

nlohmann::json to_json(const ModelInfo& info) {
  nlohmann::json checkpoints = nlohmann::json::array();
  for (const CheckpointInfo& checkpoint : info.checkpoints) {
    nlohmann::json files = nlohmann::json::array(), sets = nlohmann::json::array();
    for (const auto& file : checkpoint.files) files.push_back(file.string());
    for (const WeightSetInfo& set : checkpoint.sets) sets.push_back(set_json(set));
    checkpoints.push_back({{"path", checkpoint.path.string()},
                           {"files", files},
                           {"bytes", checkpoint.bytes},
                           {"sets", sets},
                           {"problem", checkpoint.problem},
                           {"presets", checkpoint.presets},
                           {"notes", checkpoint.notes}});
  }
  return {{"path", info.path.string()}, {"checkpoints", checkpoints}, {"missing_parts", info.missing_parts}};
}

}  // namespace flashblock
