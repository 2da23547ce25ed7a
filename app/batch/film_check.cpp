#include "app/batch/film_check.h"

#include <algorithm>
#include <exception>
#include <map>
#include <memory>

#include "app/batch/film_maker.h"
#include "app/error_report.h"
#include "app/film_identity.h"
#include "app/model_file.h"
#include "app/render_command.h"
#include "core/device.h"
#include "core/error.h"
#include "pipeline/film_setup.h"
#include "pipeline/loaded_model.h"

namespace flashblock {
namespace {

/// Models by key, with their sizes read and no tensors.
class KnownModels {
 public:
  const LoadedModel& get(const std::string& key, const RenderConfig& config) {
    auto found = models_.find(key);
    if (found == models_.end()) {
      const at::Device device = resolve_device(config.device);
      auto model = std::make_unique<LoadedModel>(config.model, device, resolve_dtype(config.dtype, device), profile_);
      found = models_.emplace(key, std::move(model)).first;
    }
    return *found->second;
  }

 private:
  Profile profile_;
  std::map<std::string, std::unique_ptr<LoadedModel>> models_;
};

void check_film(BatchFilm& film, KnownModels& models) {
  film.config = resolve_config(film.layers);
  const std::vector<ModelPart> parts = needed_parts(film.config);
  check_model_files(film.config.model, parts);
  if (film.config.output.extension() != ".mp4") {
    throw ConfigError("the output is " + film.config.output.string() + ", wanted a name that ends in .mp4");
  }
  film.model_key = model_key(film.config);
  const LoadedModel& model = models.get(film.model_key, film.config);
  const FilmSetup setup = set_up_film(film.config, model.transformer_config());
  film.identity = describe_film(setup, model.device(), model.dtype(), parts);
  film.config = setup.config;
  film.blocks = setup.plan.blocks;
  film.pictures = setup.plan.pictures;
}

void find_shared_files(std::vector<BatchFilm>& films) {
  std::map<std::filesystem::path, const BatchFilm*> owners;
  for (BatchFilm& film : films) {
    if (film.fault) continue;
    for (const auto& file : {film.config.output, film.config.contact_sheet, film.config.record}) {
      if (file.empty()) continue;
      const auto [owner, is_new] = owners.emplace(file, &film);
      if (is_new) continue;
      film.fault = fault_at(film.place, static_cast<int>(ExitStatus::kConfig),
                            file.string() + " is also that of " + owner->second->name + ", see " +
                                owner->second->place + ": put {name} or {seed} into its name");
      break;
    }
  }
}

}  // namespace

void check_films(std::vector<BatchFilm>& films) {
  KnownModels models;
  for (BatchFilm& film : films) {
    if (film.fault) continue;
    try {
      check_film(film, models);
    } catch (...) {
      const ErrorReport report = report_error(std::current_exception());
      film.fault = fault_at(film.place, static_cast<int>(report.status), report.line);
    }
  }
  find_shared_files(films);
}

std::vector<size_t> render_order(const std::vector<BatchFilm>& films) {
  std::map<std::string, size_t> first;
  for (size_t i = 0; i < films.size(); ++i) first.emplace(films[i].model_key, i);
  std::vector<size_t> order(films.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return first.at(films[a].model_key) < first.at(films[b].model_key); });
  return order;
}

}  // namespace flashblock
