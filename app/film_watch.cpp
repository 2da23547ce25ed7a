#include "app/film_watch.h"

#include <unistd.h>

#include <iostream>
#include <sstream>

#include "app/resume.h"
#include "media/film_writer.h"

namespace flashblock {
namespace {

bool has_pieces(const RenderConfig& config) {
  return std::filesystem::exists(parts_folder(config.output) / "000000.m4s");
}

}  // namespace

FilmWatch::FilmWatch(const FilmSetup& setup, FilmObserver& observer,
                     std::function<void(const FilmResult&)> write_account)
    : setup_(setup),
      observer_(observer),
      write_account_(std::move(write_account)),
      so_far_{.blocks = setup.plan.blocks},
      interrupt_([this](int) { report_interruption(); }) {
  interrupt_.set_patience(Interrupt::Patience::kNone);
}

void FilmWatch::stage(const std::string& name, const FilmProgress& so_far) {
  {
    const std::lock_guard lock(mutex_);
    stage_ = name;
    so_far_ = so_far;
  }
  const bool in_work = name == "rendering" || name == "finishing";
  interrupt_.set_patience(in_work ? Interrupt::Patience::kLong : Interrupt::Patience::kNone);
  observer_.stage(name, so_far);
}

void FilmWatch::progress(const FilmProgress& so_far) {
  {
    const std::lock_guard lock(mutex_);
    so_far_ = so_far;
  }
  observer_.progress(so_far);
}

void FilmWatch::joined(const FilmResult& result) {
  write_account_(result);
  observer_.joined(result);
}

void FilmWatch::report_interruption() {
  const std::lock_guard lock(mutex_);
  std::ostringstream text;
  if (isatty(STDERR_FILENO)) text << "\r\033[K";  // where the bar was
  text << "flashblock: interrupted after " << so_far_.block << " of " << so_far_.blocks << " frame blocks (" << stage_
       << ")";
  if (has_pieces(setup_.config)) {
    const std::string parts = shell_word(parts_folder(setup_.config.output).string());
    text << "; the pictures so far play with: cat " << parts << "/init.mp4 " << parts << "/0*.m4s | ffplay -\n"
         << "flashblock: go on with: " << resume_command(setup_.config);
  }
  std::cerr << text.str() << std::endl;
}

std::string resume_hint(const RenderConfig& config) {
  if (!has_pieces(config)) return {};
  return "; the finished frame blocks are kept, go on with: " + resume_command(config);
}

}  // namespace flashblock
