#include "batch/video_maker.h"

#include <chrono>
#include <functional>
#include <utility>

#include "core/device.h"
#include "core/error.h"
#include "media/video_writer.h"
#include "pipeline/loaded_model.h"
#include "render/describe_video.h"
#include "render/output_check.h"
#include "render/render_setup.h"
#include "render/sidecar.h"
#include "settings/config_identity.h"
#include "settings/model_file.h"

namespace flashblock {

/// A model and what was measured and summed with it.
struct VideoMaker::Kept {
  Kept(const RenderConfig& config, at::Device device)
      : key(model_key(config)),
        model(config.model, device, resolve_dtype(config.dtype, device), profile, model_options(config)) {}

  std::string key;
  Profile profile;  ///< of the video in work
  LoadedModel model;

  /// Computed once for videos that are made from the same files.
  std::shared_ptr<const FileChecksums> checksums_of(const VideoIdentity& identity, const RenderConfig& config) {
    VideoIdentity unnamed{.files = identity.files};
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

/// Writes NAME.json when the video has its name, and passes everything on.
class AccountingObserver : public RenderObserver {
 public:
  AccountingObserver(RenderObserver& observer, std::function<void(const RenderResult&)> write)
      : observer_(observer), write_(std::move(write)) {}

  void stage(const std::string& name, const RenderProgress& so_far) override { observer_.stage(name, so_far); }
  void progress(const RenderProgress& so_far) override { observer_.progress(so_far); }
  void joined(const RenderResult& result) override {
    write_(result);
    observer_.joined(result);
  }

 private:
  RenderObserver& observer_;
  std::function<void(const RenderResult&)> write_;
};

/// What there is of the video, and sets `config` to go on with it, or to replace what is there of another video if that
/// is wanted. Throws: ConfigError if it is not.
VideoState find_or_replace(RenderConfig& config, const VideoIdentity& identity) {
  const bool may_replace = std::exchange(config.overwrite, false);
  config.resume = true;
  try {
    return find_video(config.output, identity);
  } catch (const ConfigError&) {
    if (!may_replace) throw;
    config.overwrite = true;
    config.resume = false;
    return VideoState::kAbsent;
  }
}

}  // namespace

VideoMaker::VideoMaker() = default;
VideoMaker::~VideoMaker() = default;

VideoMaker::Kept& VideoMaker::model_for(const RenderConfig& config) {
  if (kept_ && kept_->key == model_key(config)) {
    kept_->profile.clear();
    return *kept_;
  }
  kept_.reset();  // two models may not fit into memory
  kept_ = std::make_unique<Kept>(config, resolve_device(config.device));
  return *kept_;
}

RenderResult VideoMaker::make(const RenderConfig& config, RenderObserver& observer, const std::stop_token& stop) {
  try {
    return make_with(model_for(config), config, observer, stop);
  } catch (...) {
    kept_.reset();
    throw;
  }
}

RenderResult VideoMaker::make_with(Kept& kept, const RenderConfig& config, RenderObserver& observer,
                                   const std::stop_token& stop) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<ModelPart> parts = needed_parts(config);
  check_model_files(config.model, parts);
  RenderSetup setup = set_up_render(config, kept.model.transformer_config());
  VideoIdentity identity = describe_video(setup, kept.model.device(), kept.model.dtype(), parts);
  identity.checksums = kept.checksums_of(identity, config);
  if (find_or_replace(setup.config, identity) == VideoState::kComplete) {
    remove_leftovers(setup.config.output);
    return {.complete = true, .frames = setup.plan.frames, .config = setup.config};
  }
  check_outputs(setup);
  const RenderOrder order = order_video(setup, std::move(identity));
  AccountingObserver accounting(observer, [&](const RenderResult& result) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    write_sidecar({result.config, kept.model.device(), kept.model.dtype(), setup.plan, result, seconds}, kept.profile,
                  order.identity);
  });
  return render_video(setup, kept.model, order, kept.profile, accounting, stop);
}

}  // namespace flashblock
