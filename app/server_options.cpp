#include "app/server_options.h"

#include "server/http_server.h"
#include "server/request_planner.h"

namespace flashblock {
namespace {

constexpr size_t kQueued = 16;

}  // namespace

AccessCommandOptions::AccessCommandOptions(CLI::App& command) {
  const std::string group = "Server";
  auto* token =
      command
          .add_option("--token", token_,
                      "Who comes must show this secret; auto: one that is drawn and printed [$FLASHBLOCK_TOKEN]")
          ->type_name("TEXT")
          ->group(group);
  auto* file = command.add_option("--token-file", token_file_, "The same, from a file")
                   ->type_name("FILE")
                   ->group(group)
                   ->excludes(token);
  command
      .add_flag("--no-token", access_.without_token,
                "Listen on an address that others reach without a token: anyone may watch, render and delete")
      ->group(group)
      ->excludes(token)
      ->excludes(file);
  command
      .add_option("--host", access_.hosts,
                  "A name that browsers call this server by, for a reverse proxy; repeatable. localhost, addresses and "
                  "the machine's name are known")
      ->type_name("NAME")
      ->group(group)
      ->allow_extra_args(false);
}

AccessOptions AccessCommandOptions::access() const {
  AccessOptions access = access_;
  if (!access.without_token) access.token = resolve_token(token_, token_file_);
  return access;
}

ServeCommandOptions::ServeCommandOptions(CLI::App& app)
    : command_(*app.add_subcommand("serve", "Render on demand, for browsers and programs")),
      video_(command_),
      access_(command_),
      request_{.most_queued = kQueued,
               .most_connections = HttpServerOptions{}.max_connections,
               .most_seconds = VideoLimits{}.seconds} {
  const std::string group = "Server";
  command_.add_option("ADDRESS:PORT", address_, "Where to listen [127.0.0.1:8080]")->group(group);
  command_.add_option("--data", data_, "The folder in which videos are kept, and found again after a restart")
      ->type_name("FOLDER")
      ->capture_default_str()
      ->group(group);
  command_.add_option("--max-queue", request_.most_queued, "Videos that may wait")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str()
      ->group(group);
  command_.add_option("--max-seconds", request_.most_seconds, "Length of one video")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(group);
  command_.add_option("--max-connections", request_.most_connections, "Open connections, viewers included")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str()
      ->group(group);
  video_.add_group("Model");
  video_.add_configuration();
}

ServeRequest ServeCommandOptions::request() {
  request_.layers = video_.layers();
  request_.server = {.address = parse_server_address("ADDRESS:PORT", address_), .access = access_.access()};
  check_access(request_.server.address.address, request_.server.access);
  request_.data = data_;
  return std::move(request_);
}

}  // namespace flashblock
