#include "app/render_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>

#include "app/config_options.h"
#include "app/info_command.h"
#include "app/interrupt.h"
#include "core/device.h"
#include "core/error_report.h"
#include "media/video_writer.h"
#include "models/known_checkpoints.h"
#include "render/cost_estimate.h"
#include "render/output_check.h"
#include "render/render.h"
#include "render/resume.h"
#include "server/preview.h"
#include "settings/text_settings.h"

namespace flashblock {
namespace {

/// How long viewers may take to receive the rest of a finished video.
constexpr std::chrono::seconds kPreviewLinger{10};

void print_warnings(const RenderSetup& setup) {
  for (const std::string& warning : setup.warnings) std::cerr << "flashblock: warning: " << warning << std::endl;
}

/// What a user did not write: warnings, what is computed in 8 bits, the timeline that was made from a wish.
void report_setup(const RenderSetup& setup) {
  print_warnings(setup);
  if (!setup.precision.empty()) std::cerr << "flashblock: " << setup.precision << std::endl;
  if (setup.config.wish.empty()) return;
  std::cerr << "flashblock: 0 s: " << setup.config.prompt << '\n';
  for (const PromptChange& change : setup.config.timeline)
    std::cerr << "flashblock: " << change.seconds << " s: " << change.prompt << '\n';
}

/// Shows the progress of one video, serves its preview, and turns signals into a request to stop.
/// Thread safety: as RenderObserver; report_interruption() is also called on the thread of Interrupt.
class RenderWatch : public RenderObserver {
 public:
  explicit RenderWatch(const RenderRequest& request)
      : request_(request),
        prompts_(request.preview ? std::make_shared<LivePrompts>() : nullptr),
        progress_(make_progress(request.progress)),
        shown_(progress_.get()),
        interrupt_([this](int) { report_interruption(); }) {
    interrupt_.set_patience(Interrupt::Patience::kNone);
  }

  /// Starts the preview. Throws: ConfigError for its address.
  void begin(const RenderSetup& setup) override {
    {
      const std::lock_guard lock(mutex_);
      config_ = setup.config;
      so_far_ = {.blocks = setup.plan.blocks};
    }
    if (!request_.quiet && request_.progress != ProgressStyle::kJson) report_setup(setup);
    if (!request_.preview) return;
    preview_ = std::make_unique<Preview>(*request_.preview, setup, prompts_);
    if (!request_.quiet) std::cerr << "flashblock: watch it at " << preview_->url() << std::endl;
    watched_ = preview_->observe(*progress_);
    shown_ = watched_.get();
  }

  void stage(const std::string& name, const RenderProgress& so_far) override {
    {
      const std::lock_guard lock(mutex_);
      stage_ = name;
      so_far_ = so_far;
    }
    const bool in_work = name == "rendering" || name == "finishing";
    interrupt_.set_patience(in_work ? Interrupt::Patience::kLong : Interrupt::Patience::kNone);
    shown_->stage(name, so_far);
  }

  void progress(const RenderProgress& so_far) override {
    {
      const std::lock_guard lock(mutex_);
      so_far_ = so_far;
    }
    shown_->progress(so_far);
  }
  void segments_written(const VideoWriter& writer) override { shown_->segments_written(writer); }
  void receiver_changed(const std::string& what) override {
    const char* erase = isatty(STDERR_FILENO) ? "\r\033[K" : "";  // the progress bar
    std::cerr << std::string(erase) + "flashblock: warning: " + what + "\n";
  }
  void prompt_changed(const TakenPrompt& prompt, double seconds) override { shown_->prompt_changed(prompt, seconds); }

  std::stop_token token() const { return interrupt_.token(); }
  int signal() const { return interrupt_.signal(); }
  /// Where prompts from the preview's viewers arrive; null: there is no preview.
  const std::shared_ptr<LivePrompts>& prompts() const { return prompts_; }

  /// Lets viewers of a finished video receive the rest of it.
  void end_preview() {
    shown_ = progress_.get();
    watched_.reset();  // its stream ends
    if (preview_) preview_->end(kPreviewLinger, token());
  }

  /// Prints how far the video is and how to resume it, to standard error.
  void report_interruption() {
    const std::lock_guard lock(mutex_);
    std::ostringstream text;
    if (isatty(STDERR_FILENO)) text << "\r\033[K";  // erases the progress bar
    text << "flashblock: interrupted after " << so_far_.block << " of " << so_far_.blocks << " frame blocks";
    if (!stage_.empty()) text << " (" << stage_ << ")";
    if (has_segments()) {
      const std::string parts = shell_word(parts_folder(config_.output).string());
      text << "; the frames so far play with: cat " << parts << "/init.mp4 " << parts << "/0*.m4s | ffplay -\n"
           << "flashblock: resume with: " << resume_command(config_);
    }
    std::cerr << text.str() << std::endl;
  }

  /// The end of an error line: how to resume the video that this run leaves unfinished; empty if it leaves none.
  std::string resume_hint() const {
    if (!has_segments()) return {};
    return "; the finished frame blocks are kept, resume with: " + resume_command(config_);
  }

 private:
  bool has_segments() const {
    return !config_.output.empty() && std::filesystem::exists(parts_folder(config_.output) / "000000.m4s");
  }

  const RenderRequest& request_;
  std::shared_ptr<LivePrompts> prompts_;
  std::unique_ptr<RenderObserver> progress_;
  std::unique_ptr<Preview> preview_;
  std::unique_ptr<RenderObserver> watched_;  // the preview's
  RenderObserver* shown_;                    // watched_ where there is a preview, otherwise progress_

  std::mutex mutex_;     // of what follows
  RenderConfig config_;  // output is empty before begin()
  std::string stage_;
  RenderProgress so_far_;
  Interrupt interrupt_;  // last: its thread uses the others
};

/// A model that loads and gives poor videos is better known before an hour of rendering.
void warn_of_known_issue(const RenderRequest& request, const ModelDescription& model) {
  if (request.quiet || request.progress == ProgressStyle::kJson) return;
  const std::string issue = known_issue(model.transformer.path);
  if (!issue.empty()) std::cerr << "flashblock: warning: " << model.transformer.path.string() << ": " << issue << '\n';
}

void check_preview(const RenderRequest& request, const RenderConfig& config) {
  const VideoEncoding encoding = video_format(config).encoding;
  if (!request.preview || encoding == VideoEncoding()) return;
  throw ConfigError("the preview plays in browsers, which show h264 in yuv420p, found " + to_string(encoding.codec) +
                    " in " + encoding.pixel_format + ": leave out --preview");
}

/// The prompts that a language model writes, as a configuration file.
int print_expansion(RenderConfig config) {
  if (config.expand.empty()) config.expand = find_language_model(kIncludedLanguageModel);
  Renderer renderer;
  const RenderSetup setup = renderer.check(config).setup;
  print_warnings(setup);
  std::cout << config_yaml(setup.config, {"prompt", "timeline", "wish", "seed"});
  return 0;
}

int print_dry_run(const RenderConfig& config) {
  Renderer renderer;
  const CheckedVideo video = renderer.check(config);
  check_outputs(video.setup);
  print_warnings(video.setup);
  const CostEstimate cost = renderer.estimate(video);
  std::cout << config_yaml(video.setup.config);
  if (const auto& choices = video.setup.choices; !choices.empty())
    std::cout << "# chosen for what the prompt leaves open: " << joined(choices) << "\n";
  std::cout << "# video: " << video.setup.plan.frames << " frames in " << video.setup.plan.blocks
            << " frame blocks, on " << video.device.str() << " in " << dtype_name(video.dtype) << "\n"
            << (video.setup.precision.empty() ? "" : "# precision: " + video.setup.precision + "\n")
            << "# expected time: " << clock_text(cost.seconds) << " to render, after loading\n"
            << memory_text(cost.memory, "# ") << "# expected disk: " << megabytes(cost.disk_bytes) << "\n";
  return 0;
}

/// On standard error if standard output has the video.
void report_video(const RenderResult& result, double seconds) {
  const RenderConfig& config = result.config;
  const bool streamed = !config.standard_output.empty();
  std::fprintf(streamed ? stderr : stdout, "%s: %lld frames, %.1f s, %lldx%lld, seed %llu, rendered in %s\n",
               streamed ? "standard output" : config.output.c_str(), static_cast<long long>(result.frames),
               static_cast<double>(result.frames) / static_cast<double>(config.fps),
               static_cast<long long>(config.width), static_cast<long long>(config.height),
               static_cast<unsigned long long>(*config.seed), clock_text(seconds).c_str());
}

}  // namespace

int run_render(const RenderRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const RenderConfig config = resolve_resumable(request.layers);
  warn_of_known_issue(request, config.model);
  check_preview(request, config);
  if (request.expand_only) return print_expansion(config);
  if (request.dry_run) return print_dry_run(config);
  RenderWatch watch(request);
  try {
    Renderer renderer;
    const RenderResult result = renderer.render(config, watch, watch.token(), {.prompts = watch.prompts()});
    if (result.outcome == RenderOutcome::kStopped) {
      watch.report_interruption();
      return 128 + watch.signal();
    }
    if (result.outcome == RenderOutcome::kAlreadyComplete) {
      if (!request.quiet) std::cout << config.output.string() << " is complete: nothing to do\n";
      return 0;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (!request.quiet) report_video(result, seconds.count());
    watch.end_preview();
    return 0;
  } catch (...) {
    const ErrorReport report = report_error(std::current_exception());
    throw Error(report.status, error_line(report.message, report.remedies, option_of) + watch.resume_hint());
  }
}

}  // namespace flashblock
