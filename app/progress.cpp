#include "app/progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/html_page.h"

namespace flashblock {
namespace {

/// Knows the stage and the pace.
class ShownProgress : public RenderObserver {
 public:
  void stage(const std::string& name, const RenderProgress& so_far) override {
    stage_ = name;
    pace_.begin(so_far);
    show(so_far);
  }
  void progress(const RenderProgress& so_far) override { show(so_far); }

 protected:
  virtual void show(const RenderProgress& so_far) = 0;

  RenderPace pace_;
  std::string stage_;
};

class BarProgress : public ShownProgress {
 public:
  ~BarProgress() override {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

 private:
  static constexpr int kWidth = 28;  // characters of the bar

  void show(const RenderProgress& so_far) override {
    drawn_ = true;
    const double part = so_far.blocks == 0 ? 0 : static_cast<double>(so_far.block) / static_cast<double>(so_far.blocks);
    const int full = static_cast<int>(part * kWidth);
    std::string line = "\r\033[K[" + std::string(full, '#') + std::string(kWidth - full, '.') + "] block " +
                       std::to_string(so_far.block) + "/" + std::to_string(so_far.blocks);
    if (so_far.block > 0 && so_far.block < so_far.blocks) {
      char pace[64];
      std::snprintf(pace, sizeof pace, ", %.1f fps, %s left", pace_.frames_per_second(so_far),
                    clock_text(pace_.seconds_left(so_far)).c_str());
      line += pace;
    }
    std::fputs((line + "  " + stage_).c_str(), stderr);
    std::fflush(stderr);
  }

  bool drawn_ = false;
};

class JsonProgress : public ShownProgress {
  void show(const RenderProgress& so_far) override {
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    nlohmann::ordered_json line = {{"stage", stage_},
                                   {"block", so_far.block},
                                   {"blocks", so_far.blocks},
                                   {"frames", so_far.frames},
                                   {"elapsed_seconds", std::round(elapsed * 1000) / 1000}};
    if (stage_ == "rendering" && so_far.block > 0) {
      line["frames_per_second"] = pace_.frames_per_second(so_far);
      line["eta_seconds"] = pace_.seconds_left(so_far);
    }
    std::fputs(json_text(line, -1).c_str(), stderr);
    std::fflush(stderr);
  }

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

void add_progress(const OptionGroup& group, bool& quiet, ProgressStyle& style) {
  group.add_flag("--quiet", quiet, "Print errors only");
  group.add_choice<ProgressStyle>("--progress", style, "auto|bar|json|none", "How progress is shown",
                                  {{"auto", ProgressStyle::kAuto},
                                   {"bar", ProgressStyle::kBar},
                                   {"json", ProgressStyle::kJson},
                                   {"none", ProgressStyle::kNone}});
}

std::unique_ptr<RenderObserver> make_progress(ProgressStyle style) {
  if (style == ProgressStyle::kAuto) style = isatty(STDERR_FILENO) ? ProgressStyle::kBar : ProgressStyle::kNone;
  if (style == ProgressStyle::kBar) return std::make_unique<BarProgress>();
  if (style == ProgressStyle::kJson) return std::make_unique<JsonProgress>();
  return std::make_unique<RenderObserver>();
}

}  // namespace flashblock
