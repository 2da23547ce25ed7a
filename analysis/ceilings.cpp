#include "analysis/ceilings.h"

#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>

#include "analysis/work_split.h"
#include "models/layers.h"

namespace flashblock {
namespace {

/// Operations per second of `multiply`, a product of three sides of `side`.
template <typename Multiply>
double rate(at::Device device, double side, double seconds, const Multiply& multiply) {
  const auto seconds_of = [&](int64_t count) {
    const TimeMark begin(device);
    for (int64_t i = 0; i < count; ++i) multiply();
    return TimeMark(device).seconds_since(begin);
  };
  seconds_of(2);  // memory and algorithms are chosen
  const auto count = static_cast<int64_t>(std::ceil(seconds / seconds_of(1)));
  seconds_of(2 * count);                                                                     // a GPU lowers its clock
  const double least = std::min({seconds_of(count), seconds_of(count), seconds_of(count)});  // others may use a CPU
  return 2 * std::pow(side, 3) * static_cast<double>(count) / least;
}

}  // namespace

Ceilings measure_ceilings(at::Device device, at::ScalarType dtype) {
  const int64_t side = device.is_cpu() ? 1024 : 8192;
  const double seconds = device.is_cpu() ? 0.1 : 0.2;
  const auto options = at::TensorOptions().device(device).dtype(dtype);
  const at::Tensor a = at::randn({side, side}, options), b = at::randn({side, side}, options);
  const Linear layer{.weight = b, .bias = at::zeros({side}, options)};  // as fast as LibTorch's libraries, chosen well
  Ceilings ceilings{.native = rate(device, static_cast<double>(side), seconds, [&] { linear({a}, layer); })};
  if (device.is_cpu()) return ceilings;
  try {
    const at::Tensor one = at::ones({}, options.dtype(at::kFloat));
    const at::Tensor a8 = a.to(at::kFloat8_e4m3fn), b8 = b.to(at::kFloat8_e4m3fn).t();  // the layout of its kernels
    ceilings.eight_bits = rate(device, static_cast<double>(side), seconds, [&] {
      at::_scaled_mm(a8, b8, one, one, {}, {}, at::kBFloat16, /*use_fast_accum=*/true);
    });
  } catch (const c10::Error&) {  // a GPU without float8
  }
  return ceilings;
}

}  // namespace flashblock
