#include "render/pace.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace flashblock {

void RenderPace::begin(const RenderProgress& so_far) {
  start_ = Clock::now();
  first_ = so_far;
}

double RenderPace::frames_per_second(const RenderProgress& so_far) const {
  return static_cast<double>(so_far.frames - first_.frames) / std::max(elapsed(), 1e-3);
}

double RenderPace::seconds_left(const RenderProgress& so_far) const {
  const int64_t done = so_far.block - first_.block;
  if (done <= 0) return 0;
  return elapsed() / static_cast<double>(done) * static_cast<double>(so_far.blocks - so_far.block);
}

std::string clock_text(double seconds) {
  const long long total = std::llround(seconds);
  char text[32];
  if (total >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", total / 3600, total / 60 % 60, total % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", total / 60, total % 60);
  }
  return text;
}

}  // namespace flashblock
