#include "app/batch/film_maker.h"

#include <chrono>
#include <functional>
#include <sstream>
#include <utility>

#include "app/film_identity.h"
#include "app/model_file.h"
#include "app/output_check.h"
#include "app/render_command.h"
#include "app/sidecar.h"
#include "core/device.h"
#include "core/error.h"
#include "media/film_writer.h"
#include "pipeline/film_setup.h"
#include "pipeline/loaded_model.h"

namespace flashblock {

/// A model and what was measured and summed with it.
struct FilmMaker::Kept {
  Kept(const RenderConfig& config, at::Device device)
      : key(model_key(config)),
        model(config.model, device, resolve_dtype(config.dtype, device), profile, model_options(config)) {}

  std::string key;
  Profile profile;  ///< of the film in work
  LoadedModel model;

  /// Computed once for films that are made from the same files.
  std::shared_ptr<const FileChecksums> checksums_of(const FilmIdentity& identity, const RenderConfig& config) {
    FilmIdentity unnamed{.files = identity.files};
    const std::string list = identity_json(unnamed);
    if (!checksums_ || list != summed_) {
      checksums_ = start_checksums(identity, config);
      summed_ = list;
    }
    return checksums_;
  }

 private:
  std::string summed_;  ///< the files of checksums_, with their sizes and times
  std::shared_ptr<const FileChecksums> checksums_;
};

namespace {

/// Writes NAME.json when the film has its name, and passes everything on.
class AccountingObserver : public FilmObserver {
 public:
  AccountingObserver(FilmObserver& observer, std::function<void(const FilmResult&)> write)
      : observer_(observer), write_(std::move(write)) {}

  void stage(const std::string& name, const FilmProgress& so_far) override { observer_.stage(name, so_far); }
  void progress(const FilmProgress& so_far) override { observer_.progress(so_far); }
  void joined(const FilmResult& result) override {
    write_(result);
    observer_.joined(result);
  }

 private:
  FilmObserver& observer_;
  std::function<void(const FilmResult&)> write_;
};

/// What there is of the film, and sets `config` to go on with it, or to replace what is there of another film if that
/// is wanted. Throws: ConfigError if it is not.
FilmState find_or_replace(RenderConfig& config, const FilmIdentity& identity) {
  const bool may_replace = std::exchange(config.overwrite, false);
  config.resume = true;
  try {
    return find_film(config.output, identity);
  } catch (const ConfigError&) {
    if (!may_replace) throw;
    config.overwrite = true;
    config.resume = false;
    return FilmState::kAbsent;
  }
}

}  // namespace

std::string model_key(const RenderConfig& config) {
  const ModelDescription& model = config.model;
  std::ostringstream key;
  const auto add = [&](const WeightsFile& weights) { key << weights.path.string() << '\n' << weights.entry << '\n'; };
  add(model.transformer);
  add(model.text_encoder);
  add(model.vae);
  for (const LoraFile& lora : model.lora) {
    add({lora.path, lora.entry});
    key << lora.scale << '\n';
  }
  key << model.transformer_config.string() << '\n' << model.tokenizer.string() << '\n';
  key << config.device << '\n' << config.dtype;
  key << '\n' << config.offload << '\n' << config.cache;
  return key.str();
}

FilmMaker::FilmMaker() = default;
FilmMaker::~FilmMaker() = default;

FilmMaker::Kept& FilmMaker::model_for(const RenderConfig& config) {
  if (kept_ && kept_->key == model_key(config)) {
    kept_->profile.clear();
    return *kept_;
  }
  kept_.reset();  // two models may not fit into memory
  kept_ = std::make_unique<Kept>(config, resolve_device(config.device));
  return *kept_;
}

FilmResult FilmMaker::make(const RenderConfig& config, FilmObserver& observer, const std::stop_token& stop) {
  try {
    return make_with(model_for(config), config, observer, stop);
  } catch (...) {
    kept_.reset();
    throw;
  }
}

FilmResult FilmMaker::make_with(Kept& kept, const RenderConfig& config, FilmObserver& observer,
                                const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<ModelPart> parts = needed_parts(config);
  check_model_files(config.model, parts);
  FilmSetup setup = set_up_film(config, kept.model.transformer_config());
  FilmIdentity identity = describe_film(setup, kept.model.device(), kept.model.dtype(), parts);
  identity.checksums = kept.checksums_of(identity, config);
  if (find_or_replace(setup.config, identity) == FilmState::kComplete) {
    remove_leftovers(setup.config.output);
    return {.complete = true, .pictures = setup.plan.pictures, .config = setup.config};
  }
  check_outputs(setup);
  const FilmOrder order = order_film(setup, std::move(identity));
  AccountingObserver accounting(observer, [&](const FilmResult& result) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    write_sidecar({result.config, kept.model.device(), kept.model.dtype(), setup.plan, result, seconds}, kept.profile,
                  order.identity);
  });
  return render_film(setup, kept.model, order, kept.profile, accounting, stop);
}

}  // namespace flashblock
