#include "server/stream_routes.h"

#include <algorithm>
#include <utility>

#include "server/api_error.h"
#include "server/hls_playlist.h"

namespace flashblock {
namespace {

using Found = VideoStreams::Found;

constexpr int64_t kStreamSliceBytes = 128 * 1024;  // in memory for one viewer
/// How long a viewer waits for a segment before the server checks that it is still connected.
constexpr std::chrono::milliseconds kStreamCheckInterval{250};

const VideoStream& stream_of(const Found& found) {
  if (found.stream) return *found.stream;
  throw ApiError({404, "no_video", "only the running video, or the last one, has a stream"});
}

bool send_segment(const VideoStream& stream, const VideoStream::Segment& segment, BodySink& sink) {
  for (int64_t done = 0; done < segment.bytes; done += kStreamSliceBytes) {
    if (!sink.write(stream.read(segment.offset + done, std::min(kStreamSliceBytes, segment.bytes - done))))
      return false;
  }
  return true;
}

/// Sends a stream to one viewer. False: the viewer left before it ended.
bool send_segments(const VideoStream& stream, StreamCursor cursor, ViewerCounts& counts, BodySink& sink) {
  if (!sink.write(stream.init_segment())) return false;
  for (;;) {
    const VideoStream::State state = stream.wait_for_more_than(cursor.position(), kStreamCheckInterval);
    const int64_t skipped = cursor.skipped(), index = cursor.next(state);
    counts.segments_skipped += cursor.skipped() - skipped;
    if (index < 0) {
      if (state.ended) return true;
      if (!sink.is_open()) return false;
      continue;
    }
    if (!send_segment(stream, stream.segment(index), sink)) return false;
    cursor.sent();
    ++counts.segments_sent;
  }
}

StreamCursor::Start start_of(const HttpRequest& request) {
  const auto from = request.query_parameter("from");
  if (!from) return StreamCursor::Start::kNewest;
  if (*from == "start") return StreamCursor::Start::kFirst;
  throw ApiError({400, "invalid_value", "from: wanted start", "from"});
}

void send_stream(const Found& found, ViewerCounts& counts, const HttpRequest& request, HttpResponse& response) {
  const std::string type = stream_of(found).content_type();
  response.set_stream(type, [stream = found.stream, start = start_of(request), &counts](BodySink& sink) {
    const OpenStream open(counts.streams);
    return send_segments(*stream, StreamCursor(start), counts, sink);
  });
}

void send_playlist(const Found& found, const std::string& folder, ViewerCounts& counts, const HttpRequest& request,
                   HttpResponse& response) {
  const VideoStream& stream = stream_of(found);
  const StreamCursor::Start start = start_of(request);
  const VideoStream::State state = stream.state();
  std::vector<VideoStream::Segment> segments = stream.segments();
  segments.resize(static_cast<size_t>(state.segments));  // so that the end is only listed with everything before it
  ++counts.playlists;
  response.set_content(hls_playlist(segments, stream.fps(), folder, start, state.ended),
                       "application/vnd.apple.mpegurl");
}

void keep_in_cache(HttpResponse& response) { response.set_header("Cache-Control", "private, max-age=3600, immutable"); }

}  // namespace

void add_stream_routes(HttpServer& server, VideoStreams& streams) {
  server.route("GET", "/stream.mp4", [&](const HttpRequest& request, HttpResponse& response) {
    send_stream(streams.current(), streams.counts(), request, response);
  });
  server.route("GET", "/v1/videos/{id}/stream.mp4", [&](const HttpRequest& request, HttpResponse& response) {
    send_stream(streams.find(request.path_parameter("id")), streams.counts(), request, response);
  });
  server.route("GET", "/hls/live.m3u8", [&](const HttpRequest& request, HttpResponse& response) {
    const Found found = streams.current();
    send_playlist(found, found.id + "/", streams.counts(), request, response);
  });
  server.route("GET", "/hls/{id}/live.m3u8", [&](const HttpRequest& request, HttpResponse& response) {
    send_playlist(streams.find(request.path_parameter("id")), "", streams.counts(), request, response);
  });
  server.route("GET", "/hls/{id}/init.mp4", [&](const HttpRequest& request, HttpResponse& response) {
    const Found found = streams.find(request.path_parameter("id"));
    response.set_content(stream_of(found).init_segment(), "video/mp4");
    keep_in_cache(response);
  });
  server.route("GET", "/hls/{id}/{segment}.m4s", [&](const HttpRequest& request, HttpResponse& response) {
    const Found found = streams.find(request.path_parameter("id"));
    const VideoStream& stream = stream_of(found);
    const int64_t index = hls_segment_index(request.path_parameter("segment"));
    if (index < 0 || index >= stream.state().segments)
      throw ApiError({404, "no_segment", "the video has no such segment"});
    const VideoStream::Segment segment = stream.segment(index);
    response.set_content(stream.read(segment.offset, segment.bytes), "video/iso.segment");
    keep_in_cache(response);
  });
}

}  // namespace flashblock
