// The command lines of `batch` and of its workers.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "app/batch_command.h"

namespace flashblock {

class BatchOptions {
 public:
  explicit BatchOptions(CLI::App& app);

  /// The request, if the command is `batch`. Throws: ConfigError.
  std::optional<BatchRequest> request();
  /// Whether the command is the hidden one that starts a worker.
  bool is_worker() const { return worker_.parsed(); }

 private:
  CLI::App& command_;
  CLI::App& worker_;
  BatchRequest request_;
  std::string workers_ = "auto", shard_, progress_ = "auto";
  bool status_ = false, check_ = false;
};

}  // namespace flashblock
