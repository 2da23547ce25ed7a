#include "core/memory_meter.h"

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

namespace flashblock {
namespace {

// The value of a line "NAME: N kB", in bytes; 0: there is none.
int64_t kilobytes_in(const char* file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name)) return std::stoll(line.substr(name.size())) * 1024;
  }
  return 0;
}

}  // namespace

int64_t memory_bytes() {
  int64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

int64_t available_memory_bytes() { return kilobytes_in("/proc/meminfo", "MemAvailable:"); }

int64_t peak_memory_bytes() { return kilobytes_in("/proc/self/status", "VmHWM:"); }

int64_t peak_device_memory_bytes(at::Device device) {
  if (device.is_cpu()) return 0;
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
}

void reset_peak_device_memory(at::Device device) {
  if (!device.is_cpu()) at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
}

int64_t held_memory_bytes(at::Device device) {
  if (device.is_cpu()) return memory_bytes();
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return stats.reserved_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].current;
}

int64_t free_device_memory_bytes(at::Device device) {
  if (device.is_cpu()) return 0;
  auto* const allocator = at::getDeviceAllocator(device.type());
  const auto stats = allocator->getDeviceStats(device.index());
  const auto total = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const int64_t kept = stats.reserved_bytes[total].current - stats.allocated_bytes[total].current;
  return static_cast<int64_t>(allocator->getMemoryInfo(device.index()).first) + kept;
}

struct MemoryMeter::Counter : c10::MemoryReportingInfoBase {
  Counter(at::DeviceType counted, int64_t limit) : device(counted), small(limit) {}
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, at::Device where) override {
    if (where.type() != device) return;
    held += bytes;
    peak = std::max(peak, held);
    if (std::abs(bytes) >= small) return;
    held_small += bytes;
    peak_small = std::max(peak_small, held_small);
  }
  bool memoryProfilingEnabled() const override { return true; }

  at::DeviceType device;
  int64_t small;
  int64_t held = 0, peak = 0, held_small = 0, peak_small = 0;
};

struct MemoryMeter::Scope {
  explicit Scope(std::shared_ptr<Counter> counter) : guard(c10::DebugInfoKind::PROFILER_STATE, std::move(counter)) {}
  c10::DebugInfoGuard guard;
};

MemoryMeter::MemoryMeter(at::Device device, int64_t small)
    : counter_(std::make_shared<Counter>(device.type(), small)), scope_(std::make_unique<Scope>(counter_)) {}
MemoryMeter::~MemoryMeter() = default;
int64_t MemoryMeter::held() const { return counter_->held; }
int64_t MemoryMeter::peak() const { return counter_->peak; }
int64_t MemoryMeter::peak_of_small() const { return counter_->peak_small; }
void MemoryMeter::reset_peak() {
  counter_->peak = counter_->held;
  counter_->peak_small = counter_->held_small;
}

}  // namespace flashblock
