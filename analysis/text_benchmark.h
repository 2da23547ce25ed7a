// The time of decoding text with exact and with reused attention, measured in one run.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "analysis/named_attention.h"
#include "language/language_model.h"
#include "language/text_decoder.h"

namespace flashblock {

/// What a text is decoded behind, and how.
struct TextCase {
  int64_t context = 1024;  ///< tokens, a whole number of blocks
  int64_t batch = 1;       ///< texts decoded in step
  int64_t block_size = 4;
};

struct TextBenchmarkOptions {
  std::vector<TextCase> cases;
  std::vector<NamedAttention> modes;
  int64_t steps = 0;   ///< passes of a block; 0: the block size, one token a pass
  int64_t blocks = 8;  ///< of a run
  int64_t rounds = 5;  ///< runs of each mode
  CleanPass clean_pass = CleanPass::kFused;
};

/// Runs of one mode.
struct TextModeTimes {
  std::vector<double> seconds;
  LanguageCounters work;  ///< of the last run
};

struct TextCaseTimes {
  TextCase what;
  int64_t tokens = 0;                ///< of one run, of all texts
  std::vector<TextModeTimes> modes;  ///< in the order of the benchmark's
  /// From token ids until the first tokens are known: prefill and first pass. Of one text behind at most 4096 tokens.
  std::vector<double> first_pass_seconds;
};

struct TextBenchmark {
  std::vector<NamedAttention> modes;
  double bytes_per_second = 0;  ///< that a copy within the device's memory reaches, read and written
  std::vector<TextCaseTimes> cases;
};

/// Decodes greedily, the first masked places in each pass, behind random keys and values: time does not depend on
/// values. The modes take turns, after a run of each that does not count. None if `stop` was requested.
std::optional<TextBenchmark> run_text_benchmark(const LanguageModel& model, const TextBenchmarkOptions& options,
                                                const std::stop_token& stop = {});

/// Medians, and speedups over the first mode, for a terminal; the bound is that of the bytes read.
std::string text_bench_table(const TextBenchmark& measured);
nlohmann::ordered_json text_bench_json(const TextBenchmark& measured);

}  // namespace flashblock
