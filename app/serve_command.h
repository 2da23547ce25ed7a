// `flashblock serve`, and the options of commands that serve something.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/config_options.h"
#include "app/option_group.h"
#include "server/access.h"

namespace flashblock {

/// `flashblock serve`.
struct ServeRequest {
  std::vector<ConfigLayer> layers;  ///< of every video
  ServerSettings server;
  std::filesystem::path data;
  size_t most_queued = 16;
  size_t most_connections = 0;
  double most_seconds = 0;  ///< of one video
};

/// --token, --token-file, --no-token, --host, --origin. Lives as long as the command it adds to is parsed.
class AccessCommandOptions {
 public:
  explicit AccessCommandOptions(CLI::App& command);
  /// Throws: ConfigError for a token or an origin that is none.
  AccessOptions access() const;

 private:
  std::string token_, token_file_;
  std::vector<std::string> origins_;
  AccessOptions access_;
};

/// The command `serve` and what it collects.
class ServeCommandOptions {
 public:
  explicit ServeCommandOptions(CLI::App& app);
  /// The request, if the command is `serve`. Throws: ConfigError.
  std::optional<ServeRequest> request();

 private:
  CLI::App& command_;
  ConfigOptions video_;
  AccessCommandOptions access_;
  ServeRequest request_;
  std::string address_, data_ = "flashblock-videos";
};

/// Serves until it is interrupted, which is its normal end. Returns the exit status. Throws: Error.
int run_serve(const ServeRequest& request);

}  // namespace flashblock
