// Speed of a render, and the time left.
#pragma once

#include <chrono>
#include <string>

#include "render/render.h"

namespace flashblock {

/// Speed and time left, from the frame blocks that were finished since begin().
class RenderPace {
 public:
  void begin(const RenderProgress& so_far);
  double frames_per_second(const RenderProgress& so_far) const;
  double seconds_left(const RenderProgress& so_far) const;

 private:
  using Clock = std::chrono::steady_clock;
  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  Clock::time_point start_ = Clock::now();
  RenderProgress first_;
};

/// 83 seconds are 1:23; one hour is 1:00:00.
std::string clock_text(double seconds);

}  // namespace flashblock
