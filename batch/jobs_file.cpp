#include "batch/jobs_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
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

/// A seed of a job's list; `fault`: why it is none.
struct ListedSeed {
  std::string text;
  std::optional<JobFault> fault;
};

/// `text` as a file name.
std::string as_name(const std::string& text) {
  constexpr size_t kLongest = 100;  // bytes
  std::string name;
  for (const char c : text) {
    const bool bad =
        std::iscntrl(static_cast<unsigned char>(c)) != 0 || std::string_view("/\\{}").find(c) != std::string_view::npos;
    name += bad || (name.empty() && c == '.') ? '_' : c;
  }
  size_t end = std::min(name.size(), kLongest);
  while (end < name.size() && end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0U) == 0x80U) --end;
  return name.substr(0, end);
}

/// Makes the jobs of one file into videos.
class JobReader {
 public:
  JobReader(std::string file, std::optional<ConfigLayer> defaults)
      : file_(std::move(file)), folder_(fs::absolute(file_).parent_path()), defaults_(std::move(defaults)) {}

  /// The next job of the file. Never throws for what is wrong in it.
  void read(const YamlValue& job) {
    ++number_;
    list_.clear();
    const std::string place = file_ + ":" + std::to_string(job.node().Mark().line + 1);
    try {
      read_job(job, place);
    } catch (const ConfigError& error) {
      const std::string own = "job " + std::to_string(number_), given = given_name(job);
      add_faulty({.name = given.empty() ? own : given, .place = place_of(error, place), .layers = base_layers(job)},
                 given.empty() ? "" : own);
    }
  }

  std::vector<BatchVideo> videos() && {
    name_the_faulty();
    return std::move(videos_);
  }

 private:
  void read_job(const YamlValue& job, const std::string& place) {
    YamlMap map(job);
    const YamlValue& name = map.require("name");
    check_name(name.text(), name);
    std::vector<ListedSeed> seeds(1);
    if (const YamlValue* list = map.find("seeds")) seeds = read_seeds(map, *list);
    const YamlValue* prompts = map.find("prompts");
    if (prompts && map.find("prompt")) prompts->fail("found prompts and prompt, wanted one of them");
    std::vector<PromptRow> rows(1);
    if (prompts) rows = read_rows(*prompts);
    check_templates(job, {.job = name.text(), .row = prompts ? "1" : ""});
    for (size_t i = 0; i < rows.size(); ++i) {
      for (size_t j = 0; j < seeds.size(); ++j) {
        BatchVideo video{.job = name.text(), .place = place, .layers = base_layers(job)};
        VideoName video_name{.job = name.text(), .seed = seeds[j].text};
        std::string position = "job " + std::to_string(number_);
        if (seeds.size() > 1) position = "seed " + std::to_string(j + 1);
        if (prompts) {
          video.place = list_ + ":" + std::to_string(rows[i].line);
          video_name.row = padded_number(i + 1, rows.size());
          position = "row " + std::to_string(i + 1) + (seeds.size() > 1 ? ", " + position : "");
        }
        try {
          if (prompts) add_row(video, video_name, rows[i]);
          if (seeds[j].fault) {
            add_faulty(std::move(video), position, seeds[j].fault);
          } else {
            finish(video, video_name, prompts || seeds.size() > 1 ? nullptr : &name);
          }
        } catch (const ConfigError& error) {
          video.name = video_name.whole();
          video.place = place_of(error, video.place);
          add_faulty(std::move(video), position);
        }
      }
    }
  }

  static std::string padded_number(size_t number, size_t most) {
    std::string text = std::to_string(number);
    return text.insert(0, std::to_string(most).size() - text.size(), '0');
  }

  std::vector<PromptRow> read_rows(const YamlValue& prompts) {
    const fs::path list = fs::path(file_).parent_path() / prompts.text();
    list_ = list.string();
    try {
      return read_prompt_list(list);
    } catch (const ConfigError& error) {
      if (place_of(error, "").empty()) prompts.fail(error.what());
      throw;
    }
  }

  static std::vector<ListedSeed> read_seeds(YamlMap& map, const YamlValue& list) {
    if (const YamlValue* seed = map.find("seed")) seed->fail("found seed and seeds, wanted one of them");
    std::vector<ListedSeed> seeds;
    for (const YamlValue& seed : list.list()) {
      try {
        seeds.push_back({.text = std::to_string(seed.integer(0)), .fault = {}});
      } catch (const ConfigError&) {
        seeds.push_back(
            {.text = "",
             .fault = current_fault_at(seed.place().file + ":" + std::to_string(seed.node().Mark().line + 1))});
      }
    }
    if (seeds.empty()) list.fail("found an empty list, wanted seeds, one for each video");
    return seeds;
  }

  std::vector<ConfigLayer> base_layers(const YamlValue& job) const {
    std::vector<ConfigLayer> layers;
    if (defaults_) layers.push_back(*defaults_);
    if (job.is_map()) layers.push_back({.values = settings_of(job), .folder = folder_});
    return layers;
  }

  /// Their faults concern all videos of the job.
  void check_templates(const YamlValue& job, const VideoName& name) const {
    BatchVideo video{.place = file_, .layers = base_layers(job)};
    add_paths(video, name, "0");
  }

  void add_row(BatchVideo& video, VideoName& name, const PromptRow& row) const {
    if (!row.fault.empty()) throw ConfigError(video.place + ": " + row.fault);
    std::optional<ConfigError> fault;
    for (const auto& [key, text] : row.settings) {
      if (key != "name") {
        video.layers.push_back(layer_of(video.place, key, text, fs::absolute(list_).parent_path()));
        continue;
      }
      name.row = text;
      try {
        check_name(text, YamlValue(YAML::Node(text), {video.place, "name"}));
      } catch (const ConfigError& error) {
        fault = error;
      }
    }
    if (fault) throw ConfigError(*fault);  // with all layers in place, in which there may be more faults
  }

  /// Name, seed and files. `given`: where the name is said, if not at the video's place.
  void finish(BatchVideo& video, const VideoName& name, const YamlValue* given) {
    video.name = name.whole();
    if (const auto taken = taken_.find(video.name); taken != taken_.end()) {
      const YamlValue place(YAML::Node(), {video.place, ""});
      (given ? *given : place).fail("the name " + video.name + " is already used by the video at " + taken->second);
    }
    std::string seed = name.seed.empty() ? last_text(video, "seed") : name.seed;
    if (seed.empty()) seed = std::to_string(seed_from_name(video.name));
    video.layers.push_back(layer_of(video.place, "seed", seed, folder_));
    add_paths(video, name, seed);
    taken_.emplace(video.name, video.place);
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
  void add_paths(BatchVideo& video, const VideoName& name, const std::string& seed) const {
    for (const Setting& setting : settings_table()) {
      if (setting.field.kind == SettingKind::kOutputFile) add_path(video, setting.name, name, seed);
    }
  }

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

  /// The place that an error names in this job's prompt list; otherwise `otherwise`.
  std::string place_of(const ConfigError& error, const std::string& otherwise) const {
    const std::string message = error.what(), front = list_ + ":";
    if (list_.empty() || !message.starts_with(front)) return otherwise;
    const size_t end = message.find_first_not_of("0123456789", front.size());
    return end > front.size() ? message.substr(0, end) : otherwise;
  }

  /// The name that a wrong job gives; empty: none.
  static std::string given_name(const YamlValue& job) {
    try {
      YamlMap map(job);
      return as_name(map.require("name").text());
    } catch (const ConfigError&) {
      return "";
    }
  }

  /// A video that cannot be rendered, for the error that is being handled or `fault`. `position` in the file or list
  /// tells it from another video of its name.
  void add_faulty(BatchVideo video, const std::string& position, std::optional<JobFault> fault = {}) {
    video.fault = fault ? std::move(fault) : current_fault_at(video.place);
    if (video.name.empty()) video.name = video.job;
    if (video.job.empty()) video.job = video.name;
    faulty_.emplace_back(videos_.size(), position);
    videos_.push_back(std::move(video));
  }

  /// When all names are known: those of good videos are theirs, whatever comes before them.
  void name_the_faulty() {
    for (const auto& [index, position] : faulty_) {
      const std::string name = as_name(videos_[index].name);
      std::string free = name;
      if (taken_.contains(free) && !position.empty()) free += " (" + position + ")";
      for (int64_t i = 2; taken_.contains(free); ++i) free = name + " (" + std::to_string(i) + ")";
      videos_[index].name = free;
      taken_.emplace(free, videos_[index].place);
    }
  }

  std::string file_;
  fs::path folder_;
  std::optional<ConfigLayer> defaults_;
  std::vector<BatchVideo> videos_;
  std::map<std::string, std::string> taken_;            ///< names, and where they were given
  std::vector<std::pair<size_t, std::string>> faulty_;  ///< of videos_, and their positions in file or list
  int64_t number_ = 0;                                  ///< of the job
  std::string list_;                                    ///< the job's prompt list; empty: it has none
};

std::string joined_faults(const std::vector<std::string>& faults) {
  std::string text;
  for (const std::string& fault : faults) text += (text.empty() ? "" : "; ") + fault;
  return text;
}

std::optional<ConfigLayer> read_defaults(YamlMap& map, const fs::path& folder) {
  const YamlValue* value = map.find("defaults");
  if (!value || value->is_null()) return {};
  YamlMap keys(*value);
  for (const char* key : {"name", "seeds", "prompts"}) {
    if (const YamlValue* found = keys.find(key)) found->fail("belongs to a job, not to the defaults");
  }
  ConfigLayer layer{.values = *value, .folder = folder};
  const std::vector<std::string> faults = setting_faults({layer});
  if (!faults.empty()) throw ConfigError(joined_faults(faults));
  return layer;
}

}  // namespace

std::vector<std::string> setting_faults(const std::vector<ConfigLayer>& layers) {
  std::vector<std::string> faults;
  const auto read = [&](const ConfigLayer& layer) {
    try {
      RenderConfig ignored;
      read_settings(layer, ignored);
    } catch (const ConfigError& error) {
      if (std::find(faults.begin(), faults.end(), error.what()) == faults.end()) faults.emplace_back(error.what());
    }
  };
  for (const ConfigLayer& layer : layers) {
    const size_t before = faults.size();
    if (layer.values.is_map()) {
      for (const auto& pair : layer.values.node()) {
        YAML::Node one(YAML::NodeType::Map);
        one.force_insert(pair.first, pair.second);
        read({.values = YamlValue(one, layer.values.place()), .folder = layer.folder});
      }
    }
    if (faults.size() == before) read(layer);  // keys that contradict each other
  }
  return faults;
}

JobFault fault_at(const std::string& place, ExitStatus status, const std::string& message) {
  const std::string file = place.substr(0, place.rfind(':'));
  const bool placed = message.starts_with(file + ":");
  const int number = static_cast<int>(status);
  return {.kind = fault_kind(number), .status = number, .message = placed ? message : place + ": " + message};
}

JobFault current_fault_at(const std::string& place) {
  const ErrorReport report = report_error(std::current_exception());
  return fault_at(place, report.status, job_error_line(report));
}

std::vector<BatchVideo> read_jobs_file(const fs::path& file) {
  const YamlValue document = load_yaml(file);
  if (document.is_scalar())
    document.fail("wanted a jobs file; a list of prompts is named in one: {name: walk, prompts: " +
                  file.filename().string() + "}");
  YamlMap map(document);
  if (!map.find("jobs") && map.find("prompt"))
    document.fail("the key jobs is missing: this is the configuration of one video, for flashblock render -c");
  const YamlValue& jobs = map.require("jobs");
  JobReader reader(file.string(), read_defaults(map, fs::absolute(file).parent_path()));
  map.finish();
  const std::vector<YamlValue> list = jobs.list();
  if (list.empty()) jobs.fail("found an empty list, wanted jobs");
  for (const YamlValue& job : list) reader.read(job);
  return std::move(reader).videos();
}

}  // namespace flashblock
