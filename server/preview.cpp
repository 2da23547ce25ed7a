#include "server/preview.h"

#include <thread>

namespace flashblock {
namespace {

Video video_of(const RenderSetup& setup) {
  const RenderConfig& config = setup.config;
  return {.model = config.model.name,
          .prompt = config.prompt,
          .timeline = planned_timeline(setup),
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
  catalog_.update(video_.id, Keep::kInMemory, [](Video& video) { end_video(video, VideoStatus::kCompleted); });
  if (server_.counts().requests == 0) return;
  // Streams end by themselves; a player that requests segments has the whole video once it requests no more.
  constexpr std::chrono::milliseconds kCheckInterval{50}, kQuiet{2000};
  const auto deadline = std::chrono::steady_clock::now() + most;
  int64_t sent = -1;
  auto quiet_since = std::chrono::steady_clock::now();
  for (auto now = quiet_since; now < deadline && !stop.stop_requested(); now = std::chrono::steady_clock::now()) {
    const int64_t sent_now = server_.counts().bytes_sent;
    if (sent_now != sent || streams_.counts().streams > 0) quiet_since = now;
    if (now - quiet_since >= kQuiet) return;
    sent = sent_now;
    std::this_thread::sleep_for(kCheckInterval);
  }
}

}  // namespace flashblock
