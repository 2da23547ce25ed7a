#include "core/profile.h"

#include <algorithm>

#ifdef FLASHBLOCK_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace flashblock {

Profile::Scope::Scope(Profile* profile, const char* stage)
    : profile_(profile), stage_(stage), start_(std::chrono::steady_clock::now()) {
#ifdef FLASHBLOCK_CUDA
  nvtxRangePushA(stage);
#endif
}

Profile::Scope::~Scope() {
#ifdef FLASHBLOCK_CUDA
  nvtxRangePop();
#endif
  if (!profile_) return;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  profile_->add_time(stage_, elapsed.count());
}

void Profile::add_time(const std::string& stage, double seconds, int64_t runs) {
  const std::lock_guard lock(mutex_);
  auto found = std::find_if(stages_.begin(), stages_.end(), [&](const StageTime& time) { return time.name == stage; });
  if (found == stages_.end()) found = stages_.insert(stages_.end(), StageTime{stage});
  found->seconds += seconds;
  found->runs += runs;
}

void Profile::count(const std::string& counter, int64_t amount) {
  const std::lock_guard lock(mutex_);
  counters_[counter] += amount;
}

void Profile::clear() {
  const std::lock_guard lock(mutex_);
  stages_.clear();
  counters_.clear();
}

std::vector<StageTime> Profile::stages() const {
  const std::lock_guard lock(mutex_);
  return stages_;
}

double Profile::seconds(const std::string& stage) const {
  for (const StageTime& time : stages())
    if (time.name == stage) return time.seconds;
  return 0.0;
}

std::map<std::string, int64_t> Profile::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

int64_t Profile::counter(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = counters_.find(name);
  return found == counters_.end() ? 0 : found->second;
}

}  // namespace flashblock
