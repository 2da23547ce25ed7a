#include "app/render_watch.h"

#include <unistd.h>

#include <chrono>
#include <iostream>
#include <sstream>

#include "app/resume_command.h"
#include "media/video_writer.h"

namespace flashblock {
namespace {

/// How long viewers may take to receive the rest of a finished video.
constexpr std::chrono::seconds kPreviewLinger{10};

}  // namespace

RenderWatch::RenderWatch(const RenderRequest& request)
    : request_(request),
      prompts_(request.preview ? std::make_shared<LivePrompts>() : nullptr),
      progress_(make_progress(request.progress)),
      shown_(progress_.get()),
      interrupt_([this](int) { report_interruption(); }) {
  interrupt_.set_patience(Interrupt::Patience::kNone);
}

void RenderWatch::begin(const RenderSetup& setup) {
  {
    const std::lock_guard lock(mutex_);
    config_ = setup.config;
    so_far_ = {.blocks = setup.plan.blocks};
  }
  if (!request_.preview) return;
  preview_ = std::make_unique<Preview>(*request_.preview, setup, prompts_);
  if (!request_.quiet) std::cerr << "flashblock: watch it at " << preview_->url() << std::endl;
  watched_ = preview_->observe(*progress_);
  shown_ = watched_.get();
}

void RenderWatch::stage(const std::string& name, const RenderProgress& so_far) {
  {
    const std::lock_guard lock(mutex_);
    stage_ = name;
    so_far_ = so_far;
  }
  const bool in_work = name == "rendering" || name == "finishing";
  interrupt_.set_patience(in_work ? Interrupt::Patience::kLong : Interrupt::Patience::kNone);
  shown_->stage(name, so_far);
}

void RenderWatch::progress(const RenderProgress& so_far) {
  {
    const std::lock_guard lock(mutex_);
    so_far_ = so_far;
  }
  shown_->progress(so_far);
}

void RenderWatch::end_preview() {
  shown_ = progress_.get();
  watched_.reset();  // its stream ends
  if (preview_) preview_->end(kPreviewLinger, token());
}

bool RenderWatch::has_segments() const {
  return !config_.output.empty() && std::filesystem::exists(parts_folder(config_.output) / "000000.m4s");
}

void RenderWatch::report_interruption() {
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

std::string RenderWatch::resume_hint() const {
  if (!has_segments()) return {};
  return "; the finished frame blocks are kept, resume with: " + resume_command(config_);
}

}  // namespace flashblock
