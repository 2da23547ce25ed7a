#include "app/serve_command.h"

#include <condition_variable>
#include <iostream>
#include <mutex>

#include "app/interrupt.h"
#include "pipeline/loaded_model.h"
#include "render/render.h"
#include "server/render_worker.h"
#include "server/video_server.h"
#include "settings/model_file.h"

namespace flashblock {
namespace {

void wait_for(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait(lock, stop, [] { return false; });
}

}  // namespace

int run_serve(const ServeRequest& request) {
  const RenderConfig config = resolve_config(request.layers);
  check_model_files(config.model,
                    {ModelPart::kTransformer, ModelPart::kVae, ModelPart::kTokenizer, ModelPart::kTextEncoder});
  Renderer renderer;
  const RequestPlanner planner(request.layers, renderer.model(config).transformer_config(),
                               {.seconds = request.most_seconds});
  const auto folder = std::make_shared<const VideoFolder>(request.data);
  VideoCatalog catalog(folder, request.most_queued);
  for (const std::string& warning : catalog.warnings()) std::cerr << "flashblock: warning: " << warning << std::endl;
  VideoStreams streams;

  const Interrupt interrupt;
  VideoServer server({.address = request.server.address.address,
                      .port = request.server.address.port,
                      .max_connections = request.most_connections},
                     request.server.access,
                     {.catalog = catalog, .streams = streams, .planner = &planner, .folder = folder.get()});
  const RenderWorker worker(planner, *folder, renderer, catalog, streams);
  server.start();
  std::cout << "flashblock: serving " << config.model.name << " at " << server.url() << ", videos in "
            << request.data.string() << std::endl;
  wait_for(interrupt.token());
  server.stop();
  return 0;
}

}  // namespace flashblock
