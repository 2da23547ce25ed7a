// `flashblock bench`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "app/config_file.h"
#include "app/film_options.h"

namespace flashblock {

/// What is to be timed.
struct BenchRequest {
  std::vector<ConfigLayer> layers;
  int64_t rounds = 5;
  bool film = true;
  std::filesystem::path json;  ///< where the numbers go; empty: nowhere
};

/// The command line of `bench`.
class BenchCommand {
 public:
  explicit BenchCommand(CLI::App& app);

  /// What was asked for, to be called once after parsing. Throws: ConfigError.
  std::optional<BenchRequest> request();

 private:
  CLI::App& command_;
  FilmOptions options_;
  BenchRequest request_;
  std::string json_;
};

/// Measures, prints a table and writes the numbers; returns the program's exit status. Throws: Error.
int run_bench(const BenchRequest& request);

}  // namespace flashblock
