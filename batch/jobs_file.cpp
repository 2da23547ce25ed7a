#include "batch/jobs_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <exception>
#include <map>

#include "batch/job_names.h"
#include "batch/prompt_list.h"
#include "core/error.h"
#include "core/error_report.h"
#include "settings/config_file.h"
#include "settings/settings_table.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// A job's settings without the keys that make it a job: what is left is a render configuration.
YamlValue settings_of(const YamlValue& job) {
  YAML::Node settings(YAML::NodeType::Map);
  for (const auto& pair : job.node()) {
    const std::string key = pair.first.Scalar();
    if (key != "name" && key != "seeds" && key != "prompts") settings.force_insert(pair.first, pair.second);
  }
  return {settings, job.place()};
}

/// A value that is written elsewhere, in a list or as a template, as a layer of its own.
ConfigLayer layer_of(const std::string& place, const std::string& key, const std::string& text,
                     const fs::path& folder) {
  ConfigLayer layer = make_config_layer(place, key, YAML::Node(text));
  layer.folder = folder;
  return layer;
}

/// Makes the jobs of one file into videos.
class JobReader {
 public:
  JobReader(std::string file, std::optional<ConfigLayer> defaults)
      : file_(std::move(file)), folder_(fs::absolute(file_).parent_path()), defaults_(std::move(defaults)) {}

  /// Never throws for what is wrong in the job.
  void read(const YamlValue& job) {
    const size_t before = videos_.size();
    const std::string place = file_ + ":" + std::to_string(job.node().Mark().line + 1);
    try {
      read_job(job, place);
    } catch (const ConfigError&) {
      videos_.resize(before);
      videos_.push_back({.name = name_for_a_wrong_job(job), .place = place, .fault = current_fault_at(place)});
      videos_.back().job = videos_.back().name;
    }
    for (size_t i = before; i < videos_.size(); ++i) taken_.emplace(videos_[i].name, videos_[i].place);
  }

  std::vector<BatchVideo> videos() && { return std::move(videos_); }

 private:
  void read_job(const YamlValue& job, const std::string& place) {
    YamlMap map(job);
    const YamlValue& name = map.require("name");
    check_name(name.text(), name);
    std::vector<std::string> seeds = {""};
    if (const YamlValue* list = map.find("seeds")) seeds = read_seeds(map, *list);
    const YamlValue* prompts = map.find("prompts");
    std::vector<PromptRow> rows(1);
    const fs::path list = prompts ? folder_ / prompts->text() : fs::path();
    if (prompts && map.find("prompt")) prompts->fail("found prompts and prompt, wanted one of them");
    if (prompts) rows = read_rows(*prompts, list);
    for (size_t i = 0; i < rows.size(); ++i) {
      for (const std::string& seed : seeds) {
        BatchVideo video{.job = name.text(), .place = place, .layers = base_layers(job)};
        VideoName video_name{.job = name.text(), .seed = seed};
        if (prompts)
          add_row(video, video_name, list, rows[i], std::to_string(i + 1), std::to_string(rows.size()).size());
        finish(video, video_name, name);
      }
    }
  }

  static std::vector<PromptRow> read_rows(const YamlValue& prompts, const fs::path& list) {
    try {
      return read_prompt_list(list);
    } catch (const ConfigError& error) {
      prompts.fail(error.what());
    }
  }

  static std::vector<std::string> read_seeds(YamlMap& map, const YamlValue& list) {
    if (const YamlValue* seed = map.find("seed")) seed->fail("found seed and seeds, wanted one of them");
    std::vector<std::string> seeds;
    for (const YamlValue& seed : list.list()) seeds.push_back(std::to_string(seed.integer(0)));
    if (seeds.empty()) list.fail("found an empty list, wanted seeds, one for each video");
    return seeds;
  }

  std::vector<ConfigLayer> base_layers(const YamlValue& job) const {
    std::vector<ConfigLayer> layers;
    if (defaults_) layers.push_back(*defaults_);
    layers.push_back({.values = settings_of(job), .folder = folder_});
    return layers;
  }

  static void add_row(BatchVideo& video, VideoName& name, const fs::path& list, const PromptRow& row,
                      std::string number, size_t digits) {
    video.place = list.string() + ":" + std::to_string(row.line);
    number.insert(0, digits - number.size(), '0');
    name.row = number;
    for (const auto& [key, text] : row.settings) {
      if (key == "name") {
        check_name(text, YamlValue(YAML::Node(text), {video.place, "name"}));
        name.row = text;
      } else {
        video.layers.push_back(layer_of(video.place, key, text, list.parent_path()));
      }
    }
  }

  /// Name, seed and files.
  void finish(BatchVideo& video, const VideoName& name, const YamlValue& place) {
    video.name = name.whole();
    const auto taken = taken_.find(video.name);
    const auto has_its_name = [&](const BatchVideo& other) { return other.name == video.name; };
    if (taken != taken_.end() || std::any_of(videos_.begin(), videos_.end(), has_its_name)) {
      place.fail("the name " + video.name + " is already used by " +
                 (taken == taken_.end() ? "another video of this job" : "the video at " + taken->second));
    }
    std::string seed = name.seed.empty() ? last_text(video, "seed") : name.seed;
    if (seed.empty()) seed = std::to_string(seed_from_name(video.name));
    video.layers.push_back(layer_of(video.place, "seed", seed, folder_));
    for (const Setting& setting : settings_table()) {
      if (setting.field.kind == SettingKind::kOutputFile) add_path(video, setting.name, name, seed);
    }
    videos_.push_back(std::move(video));
  }

  static std::string last_text(const BatchVideo& video, const char* key) {
    std::string text;
    for (const ConfigLayer& layer : video.layers) {
      YamlMap map(layer.values);
      if (const YamlValue* value = map.find(key)) text = value->text();
    }
    return text;
  }

  /// Paths of files that a video leaves are templates, expanded for each video.
  void add_path(BatchVideo& video, const std::string& key, const VideoName& name, const std::string& seed) const {
    std::optional<ConfigLayer> last;
    for (const ConfigLayer& layer : video.layers) {
      YamlMap map(layer.values);
      const YamlValue* value = map.find(key);
      if (value && value->is_null()) last.reset();
      if (value && !value->is_null()) {
        last = layer_of(video.place, key, expand_template(*value, name, seed), layer.folder);
      }
    }
    if (!last && key == "output") last = layer_of(video.place, key, "videos/" + name.whole() + ".mp4", folder_);
    if (last) video.layers.push_back(std::move(*last));
  }

  std::string name_for_a_wrong_job(const YamlValue& job) const {
    try {
      YamlMap map(job);
      const YamlValue& given = map.require("name");
      check_name(given.text(), given);
      if (!taken_.contains(given.text())) return given.text();
    } catch (const ConfigError&) {
    }
    return job.place().key;  // jobs[3]
  }

  std::string file_;
  fs::path folder_;
  std::optional<ConfigLayer> defaults_;
  std::vector<BatchVideo> videos_;
  std::map<std::string, std::string> taken_;  ///< names, and where they were given
};

std::optional<ConfigLayer> read_defaults(YamlMap& map, const fs::path& folder) {
  const YamlValue* value = map.find("defaults");
  if (!value || value->is_null()) return {};
  YamlMap keys(*value);
  for (const char* key : {"name", "seeds", "prompts"}) {
    if (const YamlValue* found = keys.find(key)) found->fail("belongs to a job, not to the defaults");
  }
  ConfigLayer layer{.values = *value, .folder = folder};
  RenderConfig ignored;
  read_settings(layer, ignored);
  return layer;
}

}  // namespace

JobFault fault_at(const std::string& place, ExitStatus status, const std::string& message) {
  const std::string file = place.substr(0, place.rfind(':'));
  const bool placed = message.starts_with(file + ":");
  const int number = static_cast<int>(status);
  return {.kind = fault_kind(number), .status = number, .message = placed ? message : place + ": " + message};
}

JobFault current_fault_at(const std::string& place) {
  const ErrorReport report = report_error(std::current_exception());
  return fault_at(place, report.status, report.line);
}

std::vector<BatchVideo> read_jobs_file(const fs::path& file) {
  const YamlValue document = load_yaml(file);
  YamlMap map(document);
  const YamlValue& jobs = map.require("jobs");
  JobReader reader(file.string(), read_defaults(map, fs::absolute(file).parent_path()));
  map.finish();
  const std::vector<YamlValue> list = jobs.list();
  if (list.empty()) jobs.fail("found an empty list, wanted jobs");
  for (const YamlValue& job : list) reader.read(job);
  return std::move(reader).videos();
}

}  // namespace flashblock
