// Options of the commands that serve something.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "app/film_options.h"
#include "app/server/access.h"

namespace flashblock {

/// Where to listen, and whom to let in.
struct ServerSettings {
  ServerAddress address;
  AccessOptions access;
};

/// `flashblock serve`.
struct ServeRequest {
  std::vector<ConfigLayer> layers;  ///< of every film
  ServerSettings server;
  std::filesystem::path data;
  size_t most_queued = 0;
  size_t most_connections = 0;
  double most_seconds = 0;  ///< of one film
};

/// --token, --token-file, --no-token, --host. Lives as long as the command it adds to is parsed.
class AccessCommandOptions {
 public:
  explicit AccessCommandOptions(CLI::App& command);
  /// Throws: ConfigError for a token that is none.
  AccessOptions access() const;

 private:
  std::string token_, token_file_;
  AccessOptions access_;
};

/// The command `serve` and what it collects.
class ServeCommandOptions {
 public:
  explicit ServeCommandOptions(CLI::App& app);
  bool chosen() const { return command_.parsed(); }
  /// Throws: ConfigError.
  ServeRequest request();

 private:
  CLI::App& command_;
  FilmOptions film_;
  AccessCommandOptions access_;
  ServeRequest request_;
  std::string address_, data_ = "flashblock-films";
};

}  // namespace flashblock
