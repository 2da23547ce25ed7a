#include "server/metrics.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

namespace flashblock {
namespace {

/// Writes families of samples. Source: Prometheus exposition formats, text format 0.0.4.
class MetricsWriter {
 public:
  void family(const std::string& name, const char* type, const char* help) {
    name_ = "flashblock_" + name;
    out_ << "# HELP " << name_ << " " << help << "\n# TYPE " << name_ << " " << type << "\n";
  }
  void sample(double value, const std::string& labels = "") {
    std::array<char, 32> text;  // the shortest form that is exactly this number
    const char* end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out_ << name_ << labels << " " << std::string_view(text.data(), end) << "\n";
  }
  void gauge(const std::string& name, const char* help, double value) {
    family(name, "gauge", help);
    sample(value);
  }
  void counter(const std::string& name, const char* help, int64_t value) {
    family(name, "counter", help);
    out_ << name_ << " " << value << "\n";
  }
  std::string text() const { return out_.str(); }

 private:
  std::ostringstream out_;
  std::string name_;
};

int64_t resident_bytes() {
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

int64_t open_files() {
  std::error_code fault;
  int64_t count = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", fault), end; !fault && entry != end;
       entry.increment(fault)) {
    ++count;
  }
  return count;
}

}  // namespace

std::string metrics_text(const HttpServer& server, const VideoCatalog& catalog, ViewerCounts& viewers) {
  MetricsWriter metrics;
  metrics.family("videos", "gauge", "Videos by status");
  auto by_status = catalog.counts();
  for (const VideoStatus status : {VideoStatus::kQueued, VideoStatus::kInProgress, VideoStatus::kCompleted,
                                   VideoStatus::kFailed, VideoStatus::kCancelled}) {
    metrics.sample(static_cast<double>(by_status[status]), "{status=\"" + to_string(status) + "\"}");
  }
  metrics.family("videos_ended_total", "counter", "Videos that have ended since the server started, by status");
  auto ended = catalog.ended();
  for (const VideoStatus status : {VideoStatus::kCompleted, VideoStatus::kFailed, VideoStatus::kCancelled}) {
    metrics.sample(static_cast<double>(ended[status]), "{status=\"" + to_string(status) + "\"}");
  }
  metrics.gauge("waiting", "1: a full disk, or a failure that passes, keeps videos from being rendered",
                catalog.held() ? 1 : 0);
  const CatalogProgress progress = catalog.rendering();
  metrics.gauge("render_frames_per_second", "Speed of the running render; 0: none is running",
                progress.frames_per_second);
  metrics.gauge("render_blocks_left", "Frame blocks left in the running render",
                static_cast<double>(progress.blocks_left));
  metrics.family("viewers", "gauge", "Open streams, by kind");
  metrics.sample(static_cast<double>(viewers.streams), "{kind=\"stream\"}");
  metrics.sample(static_cast<double>(viewers.events), "{kind=\"events\"}");
  metrics.counter("stream_segments_sent_total", "Segments sent to viewers", viewers.segments_sent);
  metrics.counter("stream_segments_skipped_total", "Segments skipped because a viewer was too slow",
                  viewers.segments_skipped);
  metrics.counter("hls_playlists_sent_total", "Playlists sent to HLS players", viewers.playlists);
  const HttpServerCounts counts = server.counts();
  metrics.gauge("http_connections", "Open connections", static_cast<double>(counts.connections));
  metrics.counter("http_connections_accepted_total", "Accepted connections", counts.accepted);
  metrics.counter("http_connections_rejected_total", "Connections rejected because of the limit", counts.rejected);
  metrics.counter("http_requests_total", "Requests", counts.requests);
  metrics.counter("http_sent_bytes_total", "Bytes sent", counts.bytes_sent);
  metrics.gauge("resident_memory_bytes", "Resident memory of the program", static_cast<double>(resident_bytes()));
  metrics.gauge("open_files", "Open file descriptors of the program", static_cast<double>(open_files()));
  metrics.family("build_info", "gauge", "Version of the program");
  metrics.sample(1, "{version=\"" FLASHBLOCK_VERSION "\"}");
  return metrics.text();
}

}  // namespace flashblock
