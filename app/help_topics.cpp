#include "app/help_topics.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "attention/refresh_policy.h"
#include "settings/model_file.h"
#include "settings/settings_table.h"

namespace flashblock {
namespace {

std::string without_marks(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), '`'), text.end());
  return text;
}

HelpEntry key_entry(const Setting& setting) {
  std::string text = without_marks(setting.help) + ". Values: " + without_marks(setting.field.values);
  const std::string words = setting.traits.model_default ? "from the model" : default_words(setting);
  if (!words.empty()) text += " [" + words + "]";
  if (!setting.option.names.empty()) {
    const std::string& name = setting.option.names.back();
    text += "; option " + name.substr(name.rfind(',') + 1);
  }
  return {setting.name, text + "."};
}

std::vector<HelpEntry> key_entries() {
  std::vector<HelpEntry> entries;
  for (const Setting& setting : settings_table()) entries.push_back(key_entry(setting));
  return entries;
}

std::vector<HelpEntry> policy_entries() {
  std::vector<HelpEntry> entries;
  for (const RefreshPolicy* policy : refresh_policies()) {
    std::string keys;
    for (const std::string_view key : policy->text().keys) keys += (keys.empty() ? " Keys: " : ", ") + std::string(key);
    entries.push_back({std::string(policy->text().name),
                       without_marks(std::string(policy->text().help)) + "." + keys + (keys.empty() ? "" : ".")});
  }
  return entries;
}

std::vector<HelpEntry> environment_entries() {
  return {{"FLASHBLOCK_MODELS", "Folders, separated by colons, that are searched for models first."},
          {"FLASHBLOCK_TOKEN", "The secret that --token gives, for serve and --preview."},
          {"FLASHBLOCK_TORCH", "The folder of the Python package torch whose LibTorch a wheel or a tarball uses."},
          {"CUDA_VISIBLE_DEVICES", "The GPUs that the program sees."},
          {"OMP_NUM_THREADS", "The threads that the CPU computes with."},
          {"XDG_CACHE_HOME", "Encoded prompts and checksums are cached in its folder flashblock; ~/.cache if unset."},
          {"XDG_DATA_HOME", "Its folder flashblock/models is searched for models; ~/.local/share if unset."}};
}

std::vector<HelpEntry> file_entries() {
  return {{"NAME.mp4", "The video. It appears under this name only when it is complete."},
          {"NAME.json", "The resolved configuration, versions, checksums of the weights, times and work counters."},
          {"NAME.parts/", "Finished frame blocks of an unfinished video, for --resume; cat of them plays."},
          {"MODEL.yaml", "A model file: the files of a model, its recipe and the defaults of its videos."}};
}

std::vector<HelpEntry> status_entries() {
  return {{"0", "Done."},
          {"1", "A fault of the program."},
          {"2", "The command line or a configuration is wrong."},
          {"3", "Model files are missing or wrong."},
          {"4", "The device, or memory."},
          {"5", "Media or disk."},
          {"130, 143", "Interrupted; finished frame blocks are kept, and the command that resumes is printed."}};
}

std::vector<HelpEntry> model_entries() {
  std::vector<HelpEntry> entries;
  for (const std::filesystem::path& folder : model_folders()) {
    std::error_code fault;
    std::vector<HelpEntry> here;
    for (const auto& entry : std::filesystem::directory_iterator(folder, fault)) {
      const std::filesystem::path& path = entry.path();
      const bool whole = std::filesystem::exists(path / "model.yaml");
      if (whole || path.extension() == ".yaml") here.push_back({path.stem().string(), path.string()});
    }
    std::sort(here.begin(), here.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    entries.insert(entries.end(), here.begin(), here.end());
  }
  return entries;
}

std::string topic_text(const std::string& sentence, const std::vector<HelpEntry>& entries) {
  std::ostringstream out;
  out << sentence << "\n\n";
  for (const HelpEntry& entry : entries) out << "  " << entry.name << "\n      " << entry.text << "\n";
  return out.str();
}

}  // namespace

const std::vector<HelpTopic>& help_topics() {
  static const std::vector<HelpTopic> topics = {
      {"keys", "KEYS", "Keys of YAML files and of --set KEY=VALUE; options of the same meaning win.", key_entries},
      {"policies", "REFRESH POLICIES",
       "Values of attention.refresh: the passes and heads whose external attention is computed, not reused.",
       policy_entries},
      {"environment", "ENVIRONMENT", "Environment variables that the program reads.", environment_entries},
      {"files", "FILES", "Files that a render reads and leaves.", file_entries},
      {"exit-status", "EXIT STATUS", "With which status the program ends.", status_entries}};
  return topics;
}

std::string help_on(const std::string& topic) {
  for (const HelpTopic& known : help_topics()) {
    if (known.name == topic) return topic_text(known.sentence, known.entries());
  }
  if (topic == "models") return topic_text("Models found on this machine, for -m NAME.", model_entries());
  std::vector<HelpEntry> keys;
  for (const Setting& setting : settings_table()) {
    if (setting.name == topic || setting.name.rfind(topic + ".", 0) == 0) keys.push_back(key_entry(setting));
  }
  return keys.empty() ? "" : topic_text("Keys, for YAML and --set KEY=VALUE:", keys);
}

std::vector<std::string> help_words() {
  std::vector<std::string> words = {"models"};
  for (const HelpTopic& topic : help_topics()) words.push_back(topic.name);
  for (const Setting& setting : settings_table()) {
    const std::string group = split_key(setting.name).first;
    if (!group.empty() && std::find(words.begin(), words.end(), group) == words.end()) words.push_back(group);
    words.push_back(setting.name);
  }
  return words;
}

}  // namespace flashblock
