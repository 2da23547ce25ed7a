#include "app/render_watch.h"

#include <unistd.h>

#include <iostream>
#include <sstream>

#include "media/video_writer.h"
#include "render/resume.h"

namespace flashblock {
namespace {

bool has_segments(const RenderConfig& config) {
  return std::filesystem::exists(parts_folder(config.output) / "000000.m4s");
}

}  // namespace

RenderWatch::RenderWatch(const RenderSetup& setup, RenderObserver& observer,
                         std::function<void(const RenderResult&)> write_account)
    : setup_(setup),
      observer_(observer),
      write_account_(std::move(write_account)),
      so_far_{.blocks = setup.plan.blocks},
      interrupt_([this](int) { report_interruption(); }) {
  interrupt_.set_patience(Interrupt::Patience::kNone);
}

void RenderWatch::stage(const std::string& name, const RenderProgress& so_far) {
  {
    const std::lock_guard lock(mutex_);
    stage_ = name;
    so_far_ = so_far;
  }
  const bool in_work = name == "rendering" || name == "finishing";
  interrupt_.set_patience(in_work ? Interrupt::Patience::kLong : Interrupt::Patience::kNone);
  observer_.stage(name, so_far);
}

void RenderWatch::progress(const RenderProgress& so_far) {
  {
    const std::lock_guard lock(mutex_);
    so_far_ = so_far;
  }
  observer_.progress(so_far);
}

void RenderWatch::joined(const RenderResult& result) {
  write_account_(result);
  observer_.joined(result);
}

void RenderWatch::report_interruption() {
  const std::lock_guard lock(mutex_);
  std::ostringstream text;
  if (isatty(STDERR_FILENO)) text << "\r\033[K";  // where the bar was
  text << "flashblock: interrupted after " << so_far_.block << " of " << so_far_.blocks << " frame blocks (" << stage_
       << ")";
  if (has_segments(setup_.config)) {
    const std::string parts = shell_word(parts_folder(setup_.config.output).string());
    text << "; the frames so far play with: cat " << parts << "/init.mp4 " << parts << "/0*.m4s | ffplay -\n"
         << "flashblock: go on with: " << resume_command(setup_.config);
  }
  std::cerr << text.str() << std::endl;
}

std::string resume_hint(const RenderConfig& config) {
  if (!has_segments(config)) return {};
  return "; the finished frame blocks are kept, go on with: " + resume_command(config);
}

}  // namespace flashblock
