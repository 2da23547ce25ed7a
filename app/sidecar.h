// What a film leaves beside its pictures: tags inside NAME.mp4, and NAME.json.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <future>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "core/profile.h"
#include "pipeline/render_config.h"
#include "pipeline/render_film.h"

namespace flashblock {

/// The configuration as it is told to others: without the prompts if `metadata` is off.
RenderConfig told_config(RenderConfig config);

/// The film's metadata: prompt, seed, model, program and configuration.
std::map<std::string, std::string> film_tags(const RenderConfig& config);

/// NAME.json of NAME.mp4.
std::filesystem::path sidecar_file(const std::filesystem::path& film);

/// Checksums of weight files, computed on a thread of their own while the film is rendered.
class WeightChecksums {
 public:
  explicit WeightChecksums(std::vector<std::filesystem::path> files);
  /// Gives up what is not computed yet.
  ~WeightChecksums() { stop_.request_stop(); }

  struct Entry {
    std::filesystem::path file;
    uintmax_t bytes = 0;
    std::string sha256;
  };
  /// Waits for the rest. Throws: MediaError.
  const std::vector<Entry>& get() const { return entries_.get(); }

 private:
  std::stop_source stop_;
  std::shared_future<std::vector<Entry>> entries_;
};

/// How a film was made, for its NAME.json.
struct FilmAccount {
  RenderConfig config;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  FilmPlan plan;
  FilmResult result;
  double seconds = 0;  ///< wall-clock time of the whole run
};

/// Throws: MediaError if the file cannot be written.
void write_sidecar(const FilmAccount& account, const Profile& profile, const WeightChecksums& checksums);

}  // namespace flashblock
