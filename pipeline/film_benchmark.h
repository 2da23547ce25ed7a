// What a film costs with exact attention and with reused attention, stage by stage, measured in one run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "pipeline/film_setup.h"
#include "pipeline/loaded_model.h"

namespace flashblock {

/// Times of one piece of work, a run each, in seconds. The two lists have one length; exact and reused runs took turns.
struct PairedTimes {
  std::string work;
  std::vector<double> exact, reused;
};

/// Medians, and the median of the ratios of runs that followed each other, which a machine that others use too changes
/// less than the ratio of the medians.
double median(std::vector<double> values);
double median_ratio(const PairedTimes& times);

/// How much is measured.
struct BenchmarkOptions {
  int64_t rounds = 5;             ///< runs of each kind
  bool film = true;               ///< whole films too, from noise to pieces on disk
  std::filesystem::path scratch;  ///< folder in which the films are written, and deleted again
};

/// What was measured. Exact: one softmax over all keys in every pass; reused: as the configuration's policy says.
struct FilmBenchmark {
  int64_t window_frames = 0;  ///< latent frames attended to: the window, or the whole film where there is none
  int64_t passes = 0;         ///< denoising passes of a frame block
  int threads = 0;            ///< of the CPU, in each stage of a film
  std::vector<PairedTimes> times;
  double external_share = 0;  ///< of the attentions over earlier blocks in the reused film, those computed; 0..1
};

/// Measures, with a window that is full:
/// `attention`: self-attention of a frame block, all layers and passes, on random queries, keys and values;
/// `first pass`, `later pass`, `clean pass`, `frame block`: the transformer; a frame block is all its passes;
/// `film`, and its stages `film: denoise`, `film: remember`, `film: decode`, `film: write`: `setup`'s film, written.
/// The text is random numbers: the text encoder is not loaded. Text guidance is left out.
/// Returns none if `stop` was requested. Throws: Error.
std::optional<FilmBenchmark> run_benchmark(const FilmSetup& setup, LoadedModel& model, const BenchmarkOptions& options,
                                           const std::stop_token& stop = {});

}  // namespace flashblock
