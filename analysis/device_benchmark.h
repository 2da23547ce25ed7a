// The transformer on several devices beside one, in one run.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "analysis/named_attention.h"
#include "render/device_group.h"
#include "render/render_setup.h"

namespace flashblock {

/// Frame blocks with a full window; one on one device and one on all of them took turns.
struct DeviceTimes {
  std::string mode;
  /// Seconds of one block each: its denoising passes; its clean pass.
  std::vector<double> alone_denoise, alone_clean, together_denoise, together_clean;
  /// Seconds until the first process had queued the denoising passes: nearly all of their time where the host is too
  /// slow for the device.
  std::vector<double> alone_queued, together_queued;
  double sent_bytes = 0;  ///< by the first process to the others, per block
};

struct DeviceBenchmark {
  int64_t devices = 0;
  std::vector<DeviceTimes> modes;
  std::vector<double> decode;  ///< seconds of one block each, on the first device in either case
};

/// Denoises the video of `setup` with a random text embedding, without guidance, `rounds` blocks each after a warm-up.
/// `model`: on the first device of `group`; `geometry`: of its random weights; empty: its own. None if `stop` was
/// requested. Throws: Error.
std::optional<DeviceBenchmark> run_device_benchmark(const RenderSetup& setup, LoadedModel& model, DeviceGroup& group,
                                                    const std::string& geometry, int64_t rounds,
                                                    const std::stop_token& stop = {});

/// Medians, speed-up (one device's time over that of all) and efficiency (the speed-up over the number of devices).
std::string device_bench_table(const DeviceBenchmark& measured, const RenderSetup& setup);
nlohmann::ordered_json device_bench_json(const DeviceBenchmark& measured);

}  // namespace flashblock
