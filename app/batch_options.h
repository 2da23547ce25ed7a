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

  /// What was asked for, if it was `batch`. Throws: ConfigError.
  std::optional<BatchRequest> request();
  /// Whether it was the hidden command that a batch starts its workers with.
  bool is_worker() const { return worker_.parsed(); }

 private:
  CLI::App& command_;
  CLI::App& worker_;
  BatchRequest request_;
  std::string workers_ = "auto", shard_, progress_ = "auto";
  bool status_ = false, check_ = false;
};

}  // namespace flashblock
