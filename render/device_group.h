// The processes that compute videos on several devices: this one on the first of them, and one more for each other.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/child_process.h"
#include "core/process_group.h"
#include "pipeline/denoiser_group.h"
#include "pipeline/loaded_model.h"
#include "settings/render_config.h"

namespace flashblock {

/// Starts the running executable once for each further device, as `device-process`, which must call run_device_process.
/// The processes end with this one, however it ends. See docs/several_gpus.md. Thread safety: one thread at a time.
class DeviceGroup {
 public:
  /// `devices`: at least two. NCCL connects GPUs that are all different; anything else goes through host memory.
  /// Throws: DeviceError.
  explicit DeviceGroup(const std::vector<at::Device>& devices);
  ~DeviceGroup();
  DeviceGroup(const DeviceGroup&) = delete;
  DeviceGroup& operator=(const DeviceGroup&) = delete;

  const std::shared_ptr<const Followers>& followers() const { return followers_; }

  /// Tells the other processes of the videos that follow; with the first one, they load its model. `config` has its
  /// size resolved; `geometry`: of a random model in place of its own; empty: none. Throws:
  /// ProcessLost.
  void set_configuration(const RenderConfig& config, at::ScalarType dtype, const std::string& geometry = {});

  /// What `lost` stands for: the error that ended the process, or the signal. To be called once, as the last thing.
  Error explain(const ProcessLost& lost);

 private:
  void start_process(int64_t rank, const std::vector<FileDescriptor>& sockets, const std::string& nccl_name);
  void watch(const std::stop_token& stop) const;

  std::vector<at::Device> devices_;
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<MessageChannel>> channels_;  ///< to ranks 1, 2, ...
  std::vector<ChildProcess> processes_;
  std::shared_ptr<ProcessGroup> group_;
  std::shared_ptr<const Followers> followers_;
  std::jthread watching_;  ///< last: uses the others
};

/// A model of random weights, for `bench`.
struct RandomModel {
  ModelDescription description;
  std::function<ModelWeights(at::Device device, at::ScalarType dtype)> weights;
};
using MakeRandomModel = std::function<RandomModel(const std::string& geometry)>;

/// `flashblock device-process DESCRIPTORS...`: a process that DeviceGroup has started. Returns the exit status.
int run_device_process(const std::vector<int>& descriptors, const MakeRandomModel& make_random_model = {});

}  // namespace flashblock
