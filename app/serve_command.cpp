#include "app/serve_command.h"

#include <condition_variable>
#include <iostream>
#include <mutex>

#include "app/interrupt.h"
#include "pipeline/loaded_model.h"
#include "render/render.h"
#include "server/http_server.h"
#include "server/render_worker.h"
#include "server/request_planner.h"
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

AccessCommandOptions::AccessCommandOptions(CLI::App& command) {
  const OptionGroup group(command, "Server");
  auto* token = group.add("--token", token_, "TEXT",
                          "Who comes must show this secret; auto: one that is drawn and printed [$FLASHBLOCK_TOKEN]");
  auto* file = group.add("--token-file", token_file_, "FILE", "The same, from a file")->excludes(token);
  group
      .add_flag("--no-token", access_.without_token,
                "Listen on an address that others reach without a token: anyone may watch, render and delete")
      ->excludes(token)
      ->excludes(file);
  group.add("--host", access_.hosts, "NAME",
            "A name that browsers call this server by, for a reverse proxy; repeatable. localhost, addresses and the "
            "machine's name are known");
  group.add("--origin", origins_, "URL",
            "Pages of this origin may use the server too, such as http://localhost:3000; repeatable");
}

AccessOptions AccessCommandOptions::access() const {
  AccessOptions access = access_;
  if (!access.without_token) access.token = resolve_token(token_, token_file_);
  access.drawn_token = token_ == "auto" && !access.without_token;
  for (const std::string& origin : origins_) {
    try {
      access.origins.push_back(parse_origin(origin));
    } catch (const ConfigError& error) {
      throw ConfigError(std::string("--origin: ") + error.what());
    }
  }
  return access;
}

ServeCommandOptions::ServeCommandOptions(CLI::App& app)
    : command_(*app.add_subcommand("serve", "Render on demand, for browsers and programs")),
      video_(command_),
      access_(command_),
      request_{.most_connections = HttpServerOptions{}.max_connections, .most_seconds = VideoLimits{}.seconds} {
  const OptionGroup group(command_, "Server");
  group.add("ADDRESS:PORT", address_, "TEXT", "Where to listen [127.0.0.1:8080]");
  group.add("--data", data_, "FOLDER", "The folder in which videos are kept, and found again after a restart");
  group.add("--max-queue", request_.most_queued, "N", "Videos that may wait")->check(CLI::Range(0, 10'000));
  group.add("--max-seconds", request_.most_seconds, "S", "Length of one video")
      ->check(CLI::Range(0.001, static_cast<double>(kMostSeconds)));
  group.add("--max-connections", request_.most_connections, "N", "Open connections, viewers included")
      ->check(CLI::Range(1, 10'000));
  video_.add_group("Model");
  video_.add_configuration();
}

std::optional<ServeRequest> ServeCommandOptions::request() {
  if (!command_.parsed()) return {};
  request_.layers = video_.layers();
  request_.server = {.address = parse_server_address("ADDRESS:PORT", address_), .access = access_.access()};
  check_access(request_.server.address.address, request_.server.access);
  request_.data = data_;
  return std::move(request_);
}

int run_serve(const ServeRequest& request) {
  const RenderConfig config = resolve_config(request.layers);
  check_model_files(config.model,
                    {ModelPart::kTransformer, ModelPart::kVae, ModelPart::kTokenizer, ModelPart::kTextEncoder});
  Renderer renderer;
  const RequestPlanner planner(request.layers, renderer.model(config).sizes(), {.seconds = request.most_seconds});
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
