#include "server/stream_routes.h"

#include <httplib.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "server/api_error.h"
#include "server/hls_playlist.h"

namespace flashblock {
namespace {

using Found = VideoStreams::Found;

constexpr int64_t kSliceBytes = 128 * 1024;  // that one viewer holds in memory
/// How long a viewer waits for a segment before it is looked at whether it is still there.
constexpr std::chrono::milliseconds kLook{250};

const VideoStream& stream_of(const Found& found) {
  if (found.stream) return *found.stream;
  throw ApiError({404, "no_video", "no video is running that could be watched"});
}

/// One viewer of a stream, from its first byte to its last.
class Viewer {
 public:
  Viewer(std::shared_ptr<const VideoStream> stream, StreamCursor::Start start, ViewerCounts& counts)
      : stream_(std::move(stream)), cursor_(start), counts_(counts) {
    ++counts_.streams;
  }
  ~Viewer() { --counts_.streams; }
  Viewer(const Viewer&) = delete;
  Viewer& operator=(const Viewer&) = delete;

  /// Sends what there is next, or waits a little for it. False: the viewer is gone.
  bool serve(httplib::DataSink& sink) {
    if (!begun_) {
      begun_ = true;
      const std::string init = stream_->init_segment();
      return sink.write(init.data(), init.size());
    }
    const VideoStream::State state = stream_->wait_for_more_than(cursor_.position(), kLook);
    const int64_t skipped = cursor_.skipped(), index = cursor_.next(state);
    counts_.segments_skipped += cursor_.skipped() - skipped;
    if (index < 0) {
      if (state.ended) sink.done();
      return state.ended || sink.is_writable();
    }
    if (!send(stream_->segment(index), sink)) return false;
    cursor_.sent();
    ++counts_.segments_sent;
    return true;
  }

 private:
  bool send(const VideoStream::Segment& segment, httplib::DataSink& sink) const {
    for (int64_t done = 0; done < segment.bytes; done += kSliceBytes) {
      const std::string slice = stream_->read(segment.offset + done, std::min(kSliceBytes, segment.bytes - done));
      if (!sink.write(slice.data(), slice.size())) return false;
    }
    return true;
  }

  std::shared_ptr<const VideoStream> stream_;
  StreamCursor cursor_;
  ViewerCounts& counts_;
  bool begun_ = false;
};

StreamCursor::Start start_of(const httplib::Request& request) {
  if (!request.has_param("from")) return StreamCursor::Start::kNewest;
  if (request.get_param_value("from") == "start") return StreamCursor::Start::kFirst;
  throw ApiError({400, "invalid_value", "from: the only value it can have is start", "from"});
}

void send_stream(const Found& found, ViewerCounts& counts, const httplib::Request& request,
                 httplib::Response& response) {
  const std::string type = stream_of(found).content_type();
  const StreamCursor::Start start = start_of(request);
  response.status = 200;  // cpp-httplib would make it 206
  const auto viewer = std::make_shared<Viewer>(found.stream, start, counts);
  const auto provider = [viewer](size_t, httplib::DataSink& sink) { return viewer->serve(sink); };
  if (request.version == "HTTP/1.0") {  // which knows no chunks
    response.set_content_provider(type, provider);
  } else {
    response.set_chunked_content_provider(type, provider);
  }
}

void send_playlist(const Found& found, const std::string& folder, ViewerCounts& counts, const httplib::Request& request,
                   httplib::Response& response) {
  const VideoStream& stream = stream_of(found);
  const StreamCursor::Start start = start_of(request);
  const VideoStream::State state = stream.state();
  std::vector<VideoStream::Segment> segments = stream.segments();
  segments.resize(static_cast<size_t>(state.segments));  // so that an end is only told with everything before it
  ++counts.playlists;
  response.set_content(hls_playlist(segments, stream.fps(), folder, start, state.ended),
                       "application/vnd.apple.mpegurl");
}

void keep_in_cache(httplib::Response& response) {
  response.set_header("Cache-Control", "private, max-age=3600, immutable");
}

}  // namespace

void add_stream_routes(HttpServer& server, VideoStreams& streams) {
  using httplib::Request;
  using httplib::Response;
  server.route("GET", "/stream.mp4", [&](const Request& request, Response& response) {
    send_stream(streams.current(), streams.counts(), request, response);
  });
  server.route("GET", "/v1/videos/{id}/stream.mp4", [&](const Request& request, Response& response) {
    send_stream(streams.find(request.matches[1]), streams.counts(), request, response);
  });
  server.route("GET", "/hls/live.m3u8", [&](const Request& request, Response& response) {
    const Found found = streams.current();
    send_playlist(found, found.id + "/", streams.counts(), request, response);
  });
  server.route("GET", "/hls/{id}/live.m3u8", [&](const Request& request, Response& response) {
    send_playlist(streams.find(request.matches[1]), "", streams.counts(), request, response);
  });
  server.route("GET", "/hls/{id}/init.mp4", [&](const Request& request, Response& response) {
    const Found found = streams.find(request.matches[1]);
    response.set_content(stream_of(found).init_segment(), "video/mp4");
    keep_in_cache(response);
  });
  server.route("GET", "/hls/{id}/{segment}.m4s", [&](const Request& request, Response& response) {
    const Found found = streams.find(request.matches[1]);
    const VideoStream& stream = stream_of(found);
    const int64_t index = hls_segment_index(request.matches[2]);
    if (index < 0 || index >= stream.state().segments)
      throw ApiError({404, "no_segment", "the video has no such segment"});
    const VideoStream::Segment segment = stream.segment(index);
    response.set_content(stream.read(segment.offset, segment.bytes), "video/iso.segment");
    keep_in_cache(response);
  });
}

}  // namespace flashblock
