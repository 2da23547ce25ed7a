#include "analysis/block_cases.h"

#include <array>
#include <numeric>
#include <utility>

#include "analysis/work_split.h"
#include "attention/block_attention.h"
#include "core/work_scopes.h"
#include "models/transformer_state.h"

namespace flashblock {
namespace {

constexpr double kTimestep = 500;  // arbitrary: time does not depend on it

std::vector<Pass> passes_of(const BenchContext& bench) {
  std::vector<Pass> all;
  for (int64_t step = 0; step < bench.passes; ++step) all.push_back(Pass::denoise(step));
  all.push_back(Pass::clean());
  return all;
}

/// Self-attention. All layers share the keys and values of one: they are far larger than the caches of a processor.
class AttentionCase {
 public:
  explicit AttentionCase(const BenchContext& bench)
      : bench_(bench),
        cache_({.tokens_per_frame = bench.setup.geometry.tokens_per_frame(),
                .frames_per_block = bench.recipe().frames_per_block,
                .window_frames = bench.window.frames,
                .sink_frames = bench.window.sink_frames},
               1, sizes().heads, sizes().head_dim(), bench.device(), bench.model.dtype(),
               bench.modes.front().attention.kv_cache),
        tokens_(bench.setup.geometry.tokens_per_frame() * bench.recipe().frames_per_block) {
    // Of two passes in a row: cached attention is corrected by how far queries have moved.
    for (at::Tensor& q : q_) q = bench.random({1, tokens_, sizes().heads, sizes().head_dim()});
    for (int64_t layer = 0; layer < sizes().layers; ++layer) external_.push_back({.layer = layer});
    while (cache_.past_frames() + bench.recipe().frames_per_block < bench.window.frames) {
      stage();
      cache_.commit();
    }
    stage();
  }

  /// Seconds of one frame block in all layers. In the clean pass the last layer computes none.
  double block(const AttentionConfig& attention) {
    synchronize(bench_.device());
    const TimeMark begin(bench_.device());
    for (const Pass& pass : passes_of(bench_)) {
      const size_t layers = pass.kind == Pass::Kind::kClean ? external_.size() - 1 : external_.size();
      std::swap(q_[0], q_[1]);
      for (size_t layer = 0; layer < layers; ++layer) block_attention(q_[0], cache_, external_[layer], attention, pass);
    }
    const TimeMark end(bench_.device());
    // The first layer computes attention in every pass.
    external_passes_ = static_cast<double>(external_.front().work.computed()) / static_cast<double>(sizes().heads);
    for (LayerExternal& cache : external_) cache = {.layer = cache.layer};
    return end.seconds_since(begin);
  }

  /// Passes of the latest block that computed the external attention.
  double external_passes() const { return external_passes_; }

 private:
  const TransformerConfig& sizes() const { return bench_.model.transformer_config(); }
  void stage() {
    const KeyRange staged = cache_.stage(bench_.recipe().frames_per_block);
    staged.keys.copy_(bench_.random(staged.keys.sizes()));
    staged.values.copy_(bench_.random(staged.values.sizes()));
  }

  const BenchContext& bench_;
  KvCache cache_;
  std::vector<LayerExternal> external_;
  int64_t tokens_;
  std::array<at::Tensor, 2> q_;
  double external_passes_ = 0;
};

/// The transformer. All modes share one state: blocks take turns, and the window stays full.
class TransformerCase {
 public:
  explicit TransformerCase(const BenchContext& bench)
      : bench_(bench),
        transformer_(bench.model.transformer()),
        state_(transformer_->config(),
               {.geometry = bench.setup.geometry,
                .frames_per_block = bench.recipe().frames_per_block,
                .window_frames = bench.window.frames,
                .sink_frames = bench.window.sink_frames,
                .max_frames = bench.window.frames + blocks_at_most() * bench.recipe().frames_per_block,
                .attention = bench.modes.front().attention},
               bench.device(), bench.model.dtype()),
        latents_(bench.latents()) {
    transformer_->set_prompt(state_, bench.text());
    while (state_.next_frame() < bench.window.frames) run(Pass::clean());
  }

  /// Seconds of each pass of one frame block.
  std::vector<double> block(const AttentionConfig& attention) {
    state_.set_attention(attention);
    synchronize(bench_.device());
    std::vector<TimeMark> marks;
    marks.emplace_back(bench_.device());
    for (const Pass& pass : passes_of(bench_)) {
      run(pass);
      marks.emplace_back(bench_.device());
    }
    std::vector<double> seconds;
    for (size_t i = 1; i < marks.size(); ++i) seconds.push_back(marks[i].seconds_since(marks[i - 1]));
    return seconds;
  }

 private:
  int64_t blocks_at_most() const {  // to fill the window, then warm-up and other rounds, whole and instrumented
    const auto rounds = 2 * (bench_.options.rounds + 1);
    return bench_.window.frames / bench_.recipe().frames_per_block + 2 +
           rounds * static_cast<int64_t>(bench_.modes.size());
  }
  void run(const Pass& pass) { transformer_->forward(latents_, kTimestep, state_.next_frame(), pass, state_); }

  const BenchContext& bench_;
  std::shared_ptr<const VideoTransformer> transformer_;
  TransformerState state_;
  at::Tensor latents_;
};

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

/// Times by name of work, a list for each mode.
struct Table {
  Table(size_t modes, const std::vector<std::string>& names) {
    for (const std::string& name : names) rows.push_back({name, std::vector<std::vector<double>>(modes)});
  }
  void add(size_t row, size_t mode, double seconds) { rows[row].seconds[mode].push_back(seconds); }

  std::vector<WorkTimes> rows;
};

void add_passes(Table& table, size_t mode, const std::vector<double>& passes) {
  enum Row { kFirst, kLater, kClean, kBlock };
  table.add(kFirst, mode, passes.front());
  if (passes.size() > 2) table.add(kLater, mode, median({passes.begin() + 1, passes.end() - 1}));
  table.add(kClean, mode, passes.back());
  table.add(kBlock, mode, sum(passes));
}

void add_split(Table& table, size_t mode, std::map<std::string, double> parts, double whole) {
  enum Row { kLinears, kInternal, kExternal, kBoth, kCross, kRest };
  const double both = parts[kWholeScope] + parts[kInternalScope] + parts[kExternalScope];
  table.add(kLinears, mode, parts[kLinearScope]);
  if (parts[kWholeScope] == 0) {
    table.add(kInternal, mode, parts[kInternalScope]);
    table.add(kExternal, mode, parts[kExternalScope]);
  }
  table.add(kBoth, mode, both);
  table.add(kCross, mode, parts[kAttentionScope]);
  table.add(kRest, mode, whole - both - parts[kLinearScope] - parts[kAttentionScope]);
}

/// Operations of the parts of a frame block with a full window: of products alone, as often as they are computed.
class Operations {
 public:
  Operations(const BenchContext& bench, size_t mode, double external_passes)
      : bench_(bench),
        attention_(bench.modes[mode].attention),
        sizes_(bench.model.transformer_config()),
        tokens_(bench.setup.geometry.tokens_per_frame() * bench.recipe().frames_per_block),
        past_(bench.setup.geometry.tokens_per_frame() * (bench.window.frames - bench.recipe().frames_per_block)),
        // In the clean pass the last layer computes keys and values only.
        layers_(static_cast<double>(sizes_.layers * (bench.passes + 1) - 1) / static_cast<double>(bench.passes + 1)),
        external_passes_(external_passes) {}

  double least_seconds(const std::string& part) const {
    const bool reuses = attention_.mode != AttentionConfig::Mode::kExact;
    const auto eight_bits = [&](AttentionPrecision precision) {
      return reuses && precision != AttentionPrecision::kNative;
    };
    const double internal = seconds(passes() * products_with(tokens_), eight_bits(attention_.internal));
    const double external = seconds(external_passes_ * products_with(past_), eight_bits(attention_.external));
    if (part == "linears") {
      const double weights = 6 * square(sizes_.dim) + 2 * number(sizes_.dim) * number(sizes_.ffn_dim);
      return seconds(passes() * layers_ * 2 * number(tokens_) * weights,
                     bench_.model.options().linears != LinearPrecision::kNative);
    }
    if (part == "internal attention") return internal;
    if (part == "external attention") return external;
    if (part == "internal + external") return internal > 0 && external > 0 ? internal + external : 0;
    if (part == "cross attention") return seconds(passes() * products_with(sizes_.text_len), false);
    return 0;
  }

 private:
  static double number(int64_t count) { return static_cast<double>(count); }
  static double square(int64_t count) { return number(count) * number(count); }
  double passes() const { return number(bench_.passes + 1); }
  /// Attention of a block to `keys` in all layers: scores, and weights times values.
  double products_with(int64_t keys) const { return layers_ * 4 * number(tokens_) * number(keys) * number(sizes_.dim); }
  double seconds(double operations, bool eight_bits) const {
    return bench_.ceilings.least_seconds(eight_bits ? 0 : operations, eight_bits ? operations : 0);
  }

  const BenchContext& bench_;
  const AttentionConfig& attention_;
  const TransformerConfig& sizes_;
  int64_t tokens_, past_;
  double layers_;  ///< of a pass, on average
  double external_passes_;
};

}  // namespace

bool measure_attention(const BenchContext& bench, WindowTimes& result) {
  AttentionCase attention(bench);
  Table table(bench.modes.size(), {"attention"});
  result.external_passes.resize(bench.modes.size());
  const bool whole = bench.take_turns(bench.options.rounds, [&](size_t mode, bool counts) {
    const double seconds = attention.block(bench.modes[mode].attention);
    if (counts) table.add(0, mode, seconds);
    result.external_passes[mode] = attention.external_passes();
  });
  result.work = std::move(table.rows);
  return whole;
}

bool measure_transformer(const BenchContext& bench, WindowTimes& result) {
  TransformerCase transformer(bench);
  Table passes(bench.modes.size(), {"first pass", "later pass", "clean pass", "frame block"});
  if (!bench.take_turns(bench.options.rounds, [&](size_t mode, bool counts) {
        const std::vector<double> seconds = transformer.block(bench.modes[mode].attention);
        if (counts) add_passes(passes, mode, seconds);
      }))
    return false;
  Table split(bench.modes.size(), {"linears", "internal attention", "external attention", "internal + external",
                                   "cross attention", "rest"});
  if (!bench.take_turns(bench.options.rounds, [&](size_t mode, bool counts) {
        const WorkSplit watched(bench.device());
        const double whole = sum(transformer.block(bench.modes[mode].attention));
        if (counts) add_split(split, mode, watched.seconds(), whole);
      }))
    return false;
  for (WorkTimes& times : passes.rows) result.work.push_back(std::move(times));
  for (WorkTimes& times : split.rows) {
    for (size_t mode = 0; mode < bench.modes.size(); ++mode)
      times.least_seconds.push_back(Operations(bench, mode, result.external_passes[mode]).least_seconds(times.work));
  }
  result.split = std::move(split.rows);
  return true;
}

}  // namespace flashblock
