// Stage times and work counters of a render.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace flashblock {

/// Time of one stage, summed over all of its runs.
struct StageTime {
  std::string name;
  double seconds = 0.0;
  int64_t runs = 0;
};

/// Named stage times and work counters of one run. There is no global instance: its owner passes it on.
/// Wall-clock time of the host is measured; a stage that only queues GPU work shows the time to queue it.
/// Thread safety: all members may be called from any thread.
class Profile {
 public:
  /// Measures from construction to destruction; on CUDA builds also an NVTX range of the same name. A null profile
  /// keeps the NVTX range and records nothing.
  class Scope {
   public:
    Scope(Profile* profile, const char* stage);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

   private:
    Profile* profile_;
    const char* stage_;
    std::chrono::steady_clock::time_point start_;
  };

  /// Measures the enclosing scope: `const auto scope = profile.measure("decode");`. `stage` must be a literal.
  Scope measure(const char* stage) { return Scope(this, stage); }
  void add_time(const std::string& stage, double seconds, int64_t runs = 1);
  void count(const std::string& counter, int64_t amount = 1);

  /// Removes all times and counters, so that another run can be measured.
  void clear();

  /// Stages in the order of their first run.
  std::vector<StageTime> stages() const;
  double seconds(const std::string& stage) const;
  std::map<std::string, int64_t> counters() const;
  int64_t counter(const std::string& name) const;

 private:
  mutable std::mutex mutex_;
  std::vector<StageTime> stages_;
  std::map<std::string, int64_t> counters_;
};

}  // namespace flashblock
