#include "server/preview.h"

#include <algorithm>
#include <ctime>
#include <thread>

namespace flashblock {
namespace {

std::vector<VideoPrompt> prompts_of(const RenderSetup& setup) {
  std::vector<VideoPrompt> prompts;
  for (size_t i = 0; i < setup.change_blocks.size(); ++i) {
    const PromptChange& change = setup.config.timeline[i];
    prompts.push_back({.seconds = change.seconds, .text = change.prompt, .block = setup.change_blocks[i]});
  }
  return prompts;
}

Video video_of(const RenderSetup& setup) {
  const RenderConfig& config = setup.config;
  return {.model = config.model.name,
          .prompt = config.prompt,
          .timeline = prompts_of(setup),
          .width = config.width,
          .height = config.height,
          .fps = config.fps,
          .frames = setup.plan.frames,
          .seed = config.seed.value_or(0)};
}

}  // namespace

Preview::Preview(const ServerSettings& settings, const RenderSetup& setup, std::shared_ptr<LivePrompts> prompts)
    : catalog_(nullptr, /*most_queued=*/0),
      video_(video_of(setup)),
      server_({.address = settings.address.address, .port = settings.address.port}, settings.access,
              {.catalog = catalog_, .streams = streams_, .video = setup.config.output}) {
  catalog_.add_running(video_, setup.replay ? nullptr : std::move(prompts));
  server_.start();
}

std::unique_ptr<RenderObserver> Preview::observe(RenderObserver& next) {
  return std::make_unique<CatalogObserver>(video_.id, catalog_, streams_, &next);
}

void Preview::end(std::chrono::milliseconds most, const std::stop_token& stop) {
  catalog_.update(video_.id, Keep::kInMemory, [&](Video& video) {
    video.status = VideoStatus::kCompleted;
    video.completed_at = std::time(nullptr);
    video.progress.stage.clear();
  });
  if (server_.counts().requests == 0) return;
  // Streams end by themselves; a player that fetches segments has done so when it asks for no more.
  constexpr std::chrono::milliseconds kLook{50}, kQuiet{2000};
  const auto deadline = std::chrono::steady_clock::now() + most;
  int64_t sent = -1;
  auto quiet_since = std::chrono::steady_clock::now();
  for (auto now = quiet_since; now < deadline && !stop.stop_requested(); now = std::chrono::steady_clock::now()) {
    const int64_t sent_now = server_.counts().bytes_sent;
    if (sent_now != sent || streams_.counts().streams > 0) quiet_since = now;
    if (now - quiet_since >= kQuiet) return;
    sent = sent_now;
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace flashblock
