// `flashblock bench`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/config_options.h"
#include "settings/config_file.h"

namespace flashblock {

/// What to time.
struct BenchRequest {
  std::vector<ConfigLayer> layers;
  std::string geometry;              ///< of a model with random weights; empty: the model of the layers
  std::string model;                 ///< as on the command line; it may be a language model
  std::vector<std::string> windows;  ///< FRAMES or FRAMES:SINK; empty: the model's
  int64_t rounds = 5;
  int64_t video_rounds = 0;  ///< 0: as many as `rounds`
  bool exact = true;
  bool videos = true;
  bool text = true;
  bool small_vae = true;
  std::vector<int64_t> contexts;        ///< of a language model, in tokens; empty: 1024
  std::vector<int64_t> batches;         ///< empty: 1
  std::vector<int64_t> block_sizes;     ///< empty: decoding.block_size, or the model's
  std::filesystem::path json;           ///< where all times are written, and a page beside it; empty: nowhere
  std::filesystem::path product_table;  ///< in place of the built-in one; empty: that one
  std::filesystem::path tune_linears;   ///< where the fastest algorithms are written instead of timing; empty: nowhere
  bool overwrite = false;               ///< these files, if they exist
};

/// The command line of `bench`.
class BenchCommand {
 public:
  explicit BenchCommand(CLI::App& app);

  /// The request, to be called once after parsing. Throws: ConfigError.
  std::optional<BenchRequest> request();

 private:
  CLI::App& command_;
  ConfigOptions options_;
  BenchRequest request_;
  std::string json_, product_table_, tune_linears_;
};

/// Measures, prints a table and writes JSON and page; returns the program's exit status. Throws: Error.
int run_bench(const BenchRequest& request);

}  // namespace flashblock
