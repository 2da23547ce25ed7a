// Calibration of int8 linears: a video is rendered in the dtype, and what the linears read decides their exponents
// (models/linear_calibration.h).
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "models/linear_calibration.h"
#include "render/render.h"

namespace flashblock {

/// The choice for one kind of linear: averages over the layers.
struct CalibratedLinears {
  std::string name;
  int64_t layers = 0;    ///< that were sampled
  int64_t smoothed = 0;  ///< of them
  double error_without = 0, error_with = 0;
};

struct Calibration {
  LinearCalibration linears;
  std::vector<CalibratedLinears> kinds;
};

/// Renders the video of `setup` without int8 linears and without keeping it. None if `stop` was requested.
/// Throws: Error.
std::optional<Calibration> calibrate(const RenderSetup& setup, LoadedModel& model, RenderObserver& observer,
                                     const std::stop_token& stop = {});

}  // namespace flashblock
