#include "models/modulation.h"

#include <cmath>

namespace flashblock {

std::vector<double> timestep_sinusoid(double timestep, int64_t length) {
  const int64_t half = length / 2;
  std::vector<double> sinusoid(static_cast<size_t>(2 * half));
  for (int64_t i = 0; i < half; ++i) {
    const double angle = timestep * std::pow(10000.0, -double(i) / double(half));
    sinusoid[size_t(i)] = std::cos(angle);
    sinusoid[size_t(half + i)] = std::sin(angle);
  }
  return sinusoid;
}

}  // namespace flashblock
