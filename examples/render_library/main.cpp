// Renders one second of video from a program of your own: NAME.mp4, and NAME.json beside it.
#include <cstdio>

#include "core/error.h"
#include "render/render.h"
#include "settings/config_file.h"
#include "settings/model_file.h"

using namespace flashblock;

/// Prints what happens. Other events: render/render.h.
class Printer : public RenderObserver {
  void stage(const std::string& name, const RenderProgress&) override { std::printf("%s\n", name.c_str()); }
  void progress(const RenderProgress& so_far) override {
    std::printf("frame block %d of %d\n", static_cast<int>(so_far.block), static_cast<int>(so_far.blocks));
  }
};

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: render_example MODEL PROMPT NAME.mp4\n"), 2;
  try {
    RenderConfig config = resolve_config({}, load_model_file(argv[1]));
    config.prompt = argv[2];
    config.output = argv[3];
    config.seconds = 1;
    config.seed = 7;
    config.overwrite = true;
    Printer printer;
    Renderer renderer;  // keeps the model for the next video
    const RenderResult result = renderer.render(config, printer);
    std::printf("%s: %d frames\n", argv[3], static_cast<int>(result.frames));
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    for (const Remedy& remedy : error.remedies()) {
      std::fprintf(stderr, "  %s: %s %s\n", remedy.action.c_str(), remedy.key.c_str(), remedy.value.c_str());
    }
    return static_cast<int>(error.status());
  }
}
