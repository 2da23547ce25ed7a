#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>

namespace flashblock::testing {
namespace {

std::string text_of(at::IntArrayRef values) {
  std::ostringstream text;
  text << values;
  return text.str();
}

std::string place_of(int64_t flat, at::IntArrayRef shape) {
  std::vector<int64_t> index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = flat % shape[axis];
    flat /= shape[axis];
  }
  return text_of(index);
}

at::Tensor as_doubles(const at::Tensor& tensor) { return tensor.detach().to(at::kCPU).to(at::kDouble).contiguous(); }

struct Worst {
  double error = -1.0;
  int64_t place = 0;

  void update(double candidate, int64_t at) {
    if (candidate > error || (std::isnan(candidate) && !std::isnan(error))) error = candidate, place = at;
  }
};

// What a comparison found; `limit_at(expected)` is the allowed absolute error there.
struct Comparison {
  Worst absolute, relative;
  int64_t outside = 0;
  double difference_squared = 0.0, expected_squared = 0.0;

  Comparison(const double* actual, const double* expected, int64_t count, double relative_limit,
             double absolute_limit) {
    for (int64_t i = 0; i < count; ++i) {
      const double error = actual[i] == expected[i] ? 0.0 : std::abs(actual[i] - expected[i]);
      absolute.update(error, i);
      if (error != 0.0) relative.update(error / std::abs(expected[i]), i);
      if (!(error <= absolute_limit + relative_limit * std::abs(expected[i]))) ++outside;
      difference_squared += error * error;
      expected_squared += expected[i] * expected[i];
    }
  }

  double norm_error() const {
    return difference_squared == 0.0 ? 0.0 : std::sqrt(difference_squared / expected_squared);
  }
};

::testing::AssertionResult shapes_agree(const at::Tensor& actual, const at::Tensor& expected) {
  if (!actual.defined()) return ::testing::AssertionFailure() << "the actual tensor is undefined";
  if (!expected.defined()) return ::testing::AssertionFailure() << "the expected tensor is undefined";
  if (actual.sizes() == expected.sizes()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "shape " << text_of(actual.sizes()) << ", expected "
                                       << text_of(expected.sizes());
}

::testing::AssertionResult report(const Comparison& found, const at::Tensor& a, const at::Tensor& b) {
  const auto at = [&](const Worst& worst) {
    std::ostringstream text;
    text << worst.error << " at " << place_of(worst.place, a.sizes()) << " (actual "
         << a.const_data_ptr<double>()[worst.place] << ", expected " << b.const_data_ptr<double>()[worst.place] << ")";
    return text.str();
  };
  auto result = ::testing::AssertionFailure();
  result << found.outside << " of " << a.numel() << " elements outside the tolerance\n  largest absolute error "
         << at(found.absolute);
  if (found.relative.error != -1.0) result << "\n  largest relative error " << at(found.relative);
  return result << "\n  relative norm of the difference " << found.norm_error();
}

}  // namespace

::testing::AssertionResult tensors_close(const at::Tensor& actual, const at::Tensor& expected, double relative,
                                         double absolute) {
  if (auto agree = shapes_agree(actual, expected); !agree) return agree;
  const at::Tensor a = as_doubles(actual), b = as_doubles(expected);
  const Comparison found(a.const_data_ptr<double>(), b.const_data_ptr<double>(), a.numel(), relative, absolute);
  return found.outside == 0 ? ::testing::AssertionSuccess() : report(found, a, b);
}

double relative_norm_error(const at::Tensor& actual, const at::Tensor& expected) {
  if (!shapes_agree(actual, expected)) return std::numeric_limits<double>::infinity();
  const at::Tensor a = as_doubles(actual), b = as_doubles(expected);
  return Comparison(a.const_data_ptr<double>(), b.const_data_ptr<double>(), a.numel(), 0.0, 0.0).norm_error();
}

::testing::AssertionResult tensors_near_in_norm(const at::Tensor& actual, const at::Tensor& expected, double bound) {
  if (auto agree = shapes_agree(actual, expected); !agree) return agree;
  const at::Tensor a = as_doubles(actual), b = as_doubles(expected);
  const Comparison found(a.const_data_ptr<double>(), b.const_data_ptr<double>(), a.numel(), bound, 0.0);
  if (found.norm_error() <= bound) return ::testing::AssertionSuccess();
  return report(found, a, b) << ", wanted at most " << bound;
}

::testing::AssertionResult tensors_identical(const at::Tensor& actual, const at::Tensor& expected) {
  if (auto agree = shapes_agree(actual, expected); !agree) return agree;
  if (actual.scalar_type() != expected.scalar_type())
    return ::testing::AssertionFailure() << "dtype " << toString(actual.scalar_type()) << ", expected "
                                         << toString(expected.scalar_type());
  const at::Tensor a = actual.detach().to(at::kCPU).contiguous(), b = expected.detach().to(at::kCPU).contiguous();
  if (a.nbytes() == 0 || std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0)
    return ::testing::AssertionSuccess();
  return tensors_close(actual, expected, 0.0, 0.0) ? ::testing::AssertionFailure() << "equal in value, not in bits"
                                                   : tensors_close(actual, expected, 0.0, 0.0);
}

}  // namespace flashblock::testing
