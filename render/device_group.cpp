#include "render/device_group.h"

#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "core/check.h"
#include "core/device.h"
#include "core/error_report.h"
#include "core/html_page.h"
#include "core/nccl_group.h"
#include "core/socket_group.h"
#include "pipeline/context_rule.h"
#include "pipeline/render_line.h"
#include "render/render_setup.h"
#include "settings/config_file.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> names_of(const std::vector<at::Device>& devices) {
  std::vector<std::string> names;
  names.reserve(devices.size());
  for (const at::Device& device : devices)
    names.push_back(device.is_cpu() ? "cpu:" + std::to_string(names.size()) : device.str());
  return names;
}

bool nccl_connects(const std::vector<at::Device>& devices) {
  const std::set<std::string> different = [&] {
    std::set<std::string> names;
    for (const at::Device& device : devices) names.insert(device.str());
    return names;
  }();
  return has_nccl() && devices.front().is_cuda() && different.size() == devices.size();
}

/// A socket between each two processes: by process, then by rank of the other one.
std::vector<std::vector<FileDescriptor>> connect_all(size_t count) {
  std::vector<std::vector<FileDescriptor>> sockets(count);
  for (auto& of_one : sockets) of_one.resize(count);
  for (size_t a = 0; a < count; ++a) {
    for (size_t b = a + 1; b < count; ++b) std::tie(sockets[a][b], sockets[b][a]) = socket_pair();
  }
  return sockets;
}

/// Waits until the other end of a socket is closed, at most for `limit`. Whether it is.
bool is_closed(int socket, std::chrono::milliseconds limit) {
  pollfd file{.fd = socket, .events = POLLRDHUP};
  return ::poll(&file, 1, static_cast<int>(limit.count())) > 0;
}

}  // namespace

DeviceGroup::DeviceGroup(const std::vector<at::Device>& devices) : devices_(devices), names_(names_of(devices)) {
  FB_CHECK(devices.size() > 1);
  const bool by_nccl = nccl_connects(devices);
  const std::string nccl_name = by_nccl ? new_nccl_group_name() : "";
  std::vector<std::vector<FileDescriptor>> sockets = connect_all(by_nccl ? 0 : devices.size());
  sockets.resize(devices.size());
  for (size_t rank = 1; rank < devices.size(); ++rank) {
    start_process(static_cast<int64_t>(rank), sockets[rank], nccl_name);
    sockets[rank].clear();  // the process has them
  }
  if (by_nccl)
    group_ = make_nccl_group(nccl_name, 0, names_, devices.front());
  else
    group_ = std::make_shared<SocketGroup>(0, std::move(sockets.front()), names_);
  followers_ = std::make_shared<Followers>(group_, channels_);
  if (by_nccl) watching_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

DeviceGroup::~DeviceGroup() = default;

void DeviceGroup::start_process(int64_t rank, const std::vector<FileDescriptor>& sockets,
                                const std::string& nccl_name) {
  auto [ours, theirs] = socket_pair();
  const FileDescriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ChildOptions options{
      .words = {"flashblock", "device-process", std::to_string(theirs.get())},
      .descriptors = {{nothing.get(), STDIN_FILENO}, {STDERR_FILENO, STDOUT_FILENO}, {theirs.get(), theirs.get()}}};
  for (const FileDescriptor& socket : sockets) {
    options.words.push_back(std::to_string(socket.get()));
    if (socket) options.descriptors.emplace_back(socket.get(), socket.get());
  }
  const at::Device device = devices_[static_cast<size_t>(rank)];
  if (device.is_cpu()) options.variables.push_back("OMP_NUM_THREADS=" + std::to_string(threads_per_stage(device)));
  processes_.emplace_back(options);
  channels_.push_back(std::make_shared<MessageChannel>(std::move(ours)));
  channels_.back()->send(
      {.text = json_line({{"rank", rank}, {"device", device.str()}, {"names", names_}, {"nccl", nccl_name}})});
}

void DeviceGroup::set_configuration(const RenderConfig& config, at::ScalarType dtype, const std::string& geometry) {
  RenderConfig its = config;
  its.dtype = dtype_name(dtype);
  followers_->send(
      {.text = json_line({{"do", "configuration"}, {"configuration", config_json(its)}, {"geometry", geometry}})});
}

Error DeviceGroup::explain(const ProcessLost& lost) {
  const auto index = static_cast<size_t>(lost.rank() - 1);
  const std::string name = names_[static_cast<size_t>(lost.rank())];
  Json fault;
  while (auto message = channels_[index]->receive()) fault = Json::parse(message->text);  // until it has ended
  if (fault.is_object())
    return {static_cast<ExitStatus>(fault.at("status").get<int>()),
            "on " + name + ": " + fault.at("message").get<std::string>()};
  const int status = processes_[index].wait();
  const std::string how = status < 0
                              ? "was killed by signal " + std::to_string(-status) + " (" + strsignal(-status) + ")"
                              : "has ended with status " + std::to_string(status);
  return DeviceError("the process of " + name + " " + how);
}

// An exchange through sockets sees the end of a process itself; a kernel of NCCL's waits for ever.
void DeviceGroup::watch(const std::stop_token& stop) const {
  while (!stop.stop_requested()) {
    for (size_t i = 0; i < channels_.size(); ++i) {
      constexpr std::chrono::milliseconds kTick{50};
      if (is_closed(channels_[i]->descriptor(), kTick)) return group_->lost(static_cast<int64_t>(i) + 1);
    }
  }
}

namespace {

/// A process that follows the one of rank 0.
class DeviceProcess {
 public:
  DeviceProcess(MessageChannel& leader, std::vector<FileDescriptor> sockets, const MakeRandomModel& make_random_model)
      : leader_(leader), make_random_model_(make_random_model) {
    const Json place = read().value();
    device_ = at::Device(place.at("device").get<std::string>());
    const auto names = place.at("names").get<std::vector<std::string>>();
    const std::string nccl_name = place.at("nccl");
    const int64_t rank = place.at("rank");
    if (nccl_name.empty())
      group_ = std::make_shared<SocketGroup>(rank, std::move(sockets), names);
    else
      group_ = make_nccl_group(nccl_name, rank, names, device_);
  }

  /// Until there is no leading process any more.
  void run() {
    const c10::OptionalDeviceGuard guard(device_.is_cpu() ? std::nullopt : std::optional(device_));
    while (const auto message = read()) {
      const std::string command = message->at("do");
      if (command == "configuration")
        configure(*message);
      else if (command == kBeginVideo)
        follow(message->at("max_frames"));
    }
  }

 private:
  std::optional<Json> read() {
    const auto message = leader_.receive();
    if (!message) return {};
    return Json::parse(message->text);
  }

  void configure(const Json& message) {
    const std::string geometry = message.at("geometry");
    const std::vector<ConfigLayer> layers = {make_config_layer("the leading process", message.at("configuration"))};
    std::optional<RandomModel> random;
    if (!geometry.empty()) random = make_random_model_(geometry);
    config_ = random ? resolve_config(layers, random->description) : resolve_config(layers);
    if (model_) return;
    const at::ScalarType dtype = resolve_dtype(config_.dtype, device_);
    ModelOptions options = model_options(config_);
    if (random) options.weights = random->weights(device_, dtype);
    model_.emplace(config_.model, device_, dtype, profile_, options);
    model_->transformer();
  }

  void follow(int64_t max_frames) {
    const VideoGeometry geometry{.width = config_.width,
                                 .height = config_.height,
                                 .strides = model_->sizes().strides,
                                 .patch = model_->transformer_config().patch};
    const Recipe& recipe = config_.model.recipe;
    SharedVideo shared{.recipe = recipe,
                       .state = state_options(recipe, geometry, max_frames, config_.attention),
                       .device = device_,
                       .dtype = model_->dtype()};
    shared.state.group = group_;
    follow_video(leader_, model_->transformer(), shared);
  }

  MessageChannel& leader_;
  const MakeRandomModel& make_random_model_;
  at::Device device_ = at::kCPU;
  std::shared_ptr<const ProcessGroup> group_;
  RenderConfig config_;
  Profile profile_;
  std::optional<LoadedModel> model_;
};

}  // namespace

int run_device_process(const std::vector<int>& descriptors, const MakeRandomModel& make_random_model) {
  FB_CHECK(!descriptors.empty(), "a device process is started by the program itself");
  for (const int number : {SIGINT, SIGTERM, SIGPIPE}) signal(number, SIG_IGN);  // the leading process decides
  MessageChannel leader{FileDescriptor(descriptors.front())};
  std::thread([socket = leader.descriptor()] {
    while (!is_closed(socket, std::chrono::hours(1))) {
    }
    _exit(0);  // whatever this process waits for will not come
  }).detach();
  try {
    std::vector<FileDescriptor> sockets;
    for (size_t i = 1; i < descriptors.size(); ++i) sockets.emplace_back(descriptors[i]);
    DeviceProcess(leader, std::move(sockets), make_random_model).run();
    return 0;
  } catch (const ProcessLost&) {  // the leading process reports which one was lost first, and ends this one
    for (;;) pause();
  } catch (...) {
    const ErrorReport error = report_error(std::current_exception());
    const int status = static_cast<int>(error.status);
    leader.send({.text = json_line({{"status", status}, {"message", error.message}})});
    return status;
  }
}

}  // namespace flashblock
