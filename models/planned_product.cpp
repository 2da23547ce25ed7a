#include "models/planned_product.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "core/device.h"
#include "core/error.h"
#include "models/kernels/lt_product.h"

#ifdef FLASHBLOCK_CUDA
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace flashblock {
namespace {

/// The table in use.
ProductTable& table_in_use() {
  static ProductTable table = built_in_product_table();
  return table;
}

#ifdef FLASHBLOCK_CUDA

bool is_aligned(const at::Tensor& t) {
  return t.is_contiguous() && reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}

bool can_be_planned(const at::Tensor& x, const Linear& layer) {
  return x.scalar_type() == at::kBFloat16 && layer.weight.scalar_type() == at::kBFloat16 &&
         layer.bias.scalar_type() == at::kBFloat16 && is_aligned(x) && is_aligned(layer.weight) &&
         is_aligned(layer.bias);
}

ProductShape shape_of(const at::Tensor& x, const Linear& layer, ProductEpilogue epilogue) {
  return {
      .epilogue = epilogue, .rows = x.numel() / x.size(-1), .in = layer.weight.size(1), .out = layer.weight.size(0)};
}

/// Without a place for the result.
LtProduct product_of(const ProductShape& shape, const at::Tensor& x, const Linear& layer) {
  return {.x = x.const_data_ptr(),
          .weight = layer.weight.const_data_ptr(),
          .bias = layer.bias.const_data_ptr(),
          .rows = shape.rows,
          .in = shape.in,
          .out_columns = shape.out,
          .gelu = shape.epilogue == ProductEpilogue::kGelu};
}

/// What has been chosen on each device.
class Choices {
 public:
  /// None: by the heuristics.
  std::optional<LtChoice> find(const ProductShape& shape, const LtProduct& product, at::Device device) {
    const std::lock_guard lock(mutex_);
    const auto [entry, added] = choices_.try_emplace({device.index(), shape});
    if (!added) return entry->second;
    std::optional<int64_t> workspace;
    const ProductRow* row =
        choose_product(table_in_use(), describe_device(device), lt_version(), shape, [&](const ProductRow& candidate) {
          return (workspace = lt_workspace(product, candidate.algorithm)).has_value();
        });
    if (row) entry->second = LtChoice{row->algorithm, *workspace};
    return entry->second;
  }

  void refuse(const ProductShape& shape, at::Device device) {
    const std::lock_guard lock(mutex_);
    choices_[{device.index(), shape}].reset();
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<at::DeviceIndex, ProductShape>, std::optional<LtChoice>> choices_;
};

Choices& choices() {
  static Choices made;
  return made;
}

at::Tensor workspace_of(const LtChoice& choice, at::Device device) {
  return at::empty({choice.workspace_bytes}, at::TensorOptions().device(device).dtype(at::kByte));
}

/// Operands with random numbers, and microseconds of the choices.
class ProductTimer {
 public:
  ProductTimer(const ProductShape& shape, at::Device device)
      : device_(device), stream_(c10::cuda::getCurrentCUDAStream(device.index())) {
    const auto options = at::TensorOptions().device(device).dtype(at::kBFloat16);
    x_ = at::randn({shape.rows, shape.in}, options);
    layer_.weight = at::randn({shape.out, shape.in}, options);
    layer_.bias = at::randn({shape.out}, options);
    out_ = at::empty({shape.rows, shape.out}, options);
    product_ = product_of(shape, x_, layer_);
    product_.out = out_.data_ptr();
  }

  const LtProduct& product() const { return product_; }

  /// In a loop of `seconds`. Infinite: it is refused.
  double microseconds(const LtChoice& choice, double seconds) const {
    const at::Tensor workspace = workspace_of(choice, device_);
    const auto run = [&](int64_t times) {
      bool accepted = true;
      for (int64_t i = 0; i < times && accepted; ++i)
        accepted = launch_lt_product(product_, choice, workspace.data_ptr(), stream_.stream());
      stream_.synchronize();
      return accepted;
    };
    constexpr int64_t kTogether = 50;
    if (!run(3)) return kRefused;
    const auto start = std::chrono::steady_clock::now();
    int64_t count = 0;
    double elapsed = 0;
    while (elapsed < seconds) {
      if (!run(kTogether)) return kRefused;
      count += kTogether;
      elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    return 1e6 * elapsed / static_cast<double>(count);
  }

  static constexpr double kRefused = 1e30;

 private:
  at::Device device_;
  c10::cuda::CUDAStream stream_;
  at::Tensor x_, out_;
  Linear layer_;
  LtProduct product_;
};

/// The fastest of the proposals, with its time and that of the first one.
ProductRow fastest_of(const ProductShape& shape, at::Device device) {
  constexpr int kMost = 64;
  constexpr int64_t kWorkspace = int64_t{32} << 20;  // LibTorch's on Hopper
  constexpr size_t kFinalists = 4;
  constexpr double kShort = 0.02, kLong = 0.4;  // the clock follows the power that is drawn, which takes a while
  constexpr int kRounds = 2;
  const ProductTimer timer(shape, device);
  struct Timed {
    LtChoice choice;
    double microseconds = 0;
  };
  std::vector<Timed> timed;
  for (const LtChoice& choice : lt_proposals(timer.product(), kMost, kWorkspace))
    timed.push_back({choice, timer.microseconds(choice, kShort)});
  if (timed.empty()) throw ConfigError("cuBLASLt proposes nothing for a product", {.key = "device"});
  std::sort(timed.begin() + 1, timed.end(),
            [](const Timed& a, const Timed& b) { return a.microseconds < b.microseconds; });
  timed.resize(std::min(timed.size(), kFinalists + 1));
  for (Timed& one : timed) one.microseconds = 0;
  for (int round = 0; round < kRounds; ++round)
    for (Timed& one : timed) one.microseconds += timer.microseconds(one.choice, kLong) / kRounds;
  const Timed& fastest = *std::ranges::min_element(timed, {}, &Timed::microseconds);
  return {.gpu = describe_device(device),
          .library = lt_version(),
          .shape = shape,
          .workspace_bytes = fastest.choice.workspace_bytes,
          .algorithm = fastest.choice.algorithm,
          .microseconds = fastest.microseconds,
          .microseconds_without = timed.front().microseconds};
}

#endif

}  // namespace

const ProductRow* choose_product(const ProductTable& table, const std::string& gpu, int64_t library,
                                 const ProductShape& shape, const std::function<bool(const ProductRow&)>& usable) {
  const ProductRow* row = table.find(gpu, library, shape);
  return row && usable(*row) ? row : nullptr;
}

at::Tensor planned_product(const at::Tensor& x, const Linear& layer, ProductEpilogue epilogue) {
#ifdef FLASHBLOCK_CUDA
  if (x.is_cuda() && !table_in_use().rows().empty() && can_be_planned(x, layer)) {
    const c10::cuda::CUDAGuard guard(x.device());
    const ProductShape shape = shape_of(x, layer, epilogue);
    LtProduct product = product_of(shape, x, layer);
    if (const auto choice = choices().find(shape, product, x.device())) {
      std::vector<int64_t> sizes = x.sizes().vec();
      sizes.back() = shape.out;
      at::Tensor out = at::empty(sizes, x.options());
      product.out = out.data_ptr();
      const at::Tensor workspace = workspace_of(*choice, x.device());
      if (launch_lt_product(product, *choice, workspace.data_ptr(), c10::cuda::getCurrentCUDAStream().stream()))
        return out;
      choices().refuse(shape, x.device());
    }
  }
#endif
  static_cast<void>(x), static_cast<void>(layer), static_cast<void>(epilogue);
  return {};
}

void use_product_table(ProductTable table) { table_in_use() = std::move(table); }

int64_t planned_products(at::Device device) {
#ifdef FLASHBLOCK_CUDA
  if (device.is_cuda())
    return std::ranges::count_if(table_in_use().rows(), [&](const ProductRow& row) {
      return row.gpu == describe_device(device) && row.library == lt_version();
    });
#endif
  static_cast<void>(device);
  return 0;
}

std::vector<ProductRow> tune_products(const std::vector<ProductShape>& products, at::Device device,
                                      const std::function<void(const ProductRow& fastest, bool kept)>& report) {
  std::vector<ProductRow> rows;
#ifdef FLASHBLOCK_CUDA
  constexpr double kWorthARow = 0.99;
  if (device.is_cuda() && lt_version() > 0) {
    const c10::cuda::CUDAGuard guard(device);
    for (const ProductShape& shape : products) {
      const ProductRow row = fastest_of(shape, device);
      const bool kept = row.microseconds < kWorthARow * row.microseconds_without;
      report(row, kept);
      if (kept) rows.push_back(row);
    }
    return rows;
  }
#endif
  static_cast<void>(products), static_cast<void>(report);
  throw ConfigError("products are tuned on a GPU, found " + device.str(), {.key = "device"});
}

}  // namespace flashblock
