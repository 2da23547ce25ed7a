#include "server/stream_routes.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "core/html_page.h"
#include "server/api_error.h"

namespace flashblock {
namespace {

constexpr int64_t kStreamSliceBytes = 128 * 1024;  // in memory for one viewer
/// How long a viewer waits for a segment or an event before the server checks that it is still connected.
constexpr std::chrono::milliseconds kCheckInterval{250}, kFirstSegmentInterval{50};
/// Without events, a comment is sent at this interval: proxies close connections on which nothing is sent.
constexpr std::chrono::seconds kKeepAliveInterval{15};

using StreamPtr = std::shared_ptr<const VideoStream>;

/// How long a viewer that is early waits for the first segment.
constexpr std::chrono::seconds kFirstSegmentWait{30};

/// Waits until `find` returns a stream; `comes`: whether there will be one. Throws: ApiError 404 if not, 503 if it
/// takes too long.
StreamPtr wait_for_stream(const HttpServer& server, const std::function<StreamPtr()>& find,
                          const std::function<bool()>& comes) {
  const auto end = std::chrono::steady_clock::now() + kFirstSegmentWait;
  for (;;) {
    const bool more = comes();  // asked first: afterwards the stream would be there
    if (StreamPtr stream = find()) return stream;
    if (!more) throw ApiError({404, "no_video", "only the running video, or the last one, has a stream"});
    if (server.stopping() || std::chrono::steady_clock::now() >= end) {
      throw ApiError({503, "not_yet", "the video has no frames yet; try again later"});
    }
    std::this_thread::sleep_for(kFirstSegmentInterval);
  }
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
    const VideoStream::State state = stream.wait_for_more_than(cursor.position(), kCheckInterval);
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
  refuse_value("from", "start");
}

void send_stream(const StreamPtr& stream, ViewerCounts& counts, const HttpRequest& request, HttpResponse& response) {
  response.set_stream(stream->content_type(), [stream, start = start_of(request), &counts](BodySink& sink) {
    const OpenStream open(counts.streams);
    return send_segments(*stream, StreamCursor(start), counts, sink);
  });
}

void send_playlist(const VideoStream& stream, const std::string& folder, ViewerCounts& counts,
                   const HttpRequest& request, HttpResponse& response) {
  const StreamCursor::Start start = start_of(request);
  const VideoStream::State state = stream.state();
  std::vector<VideoStream::Segment> segments = stream.segments();
  segments.resize(static_cast<size_t>(state.segments));  // so that the end is only listed with everything before it
  ++counts.playlists;
  const std::string query = AddressSigner::query_of(request);
  response.set_content(hls_playlist(segments, stream.fps(), folder, start, state.ended, query),
                       "application/vnd.apple.mpegurl");
}

/// Sends what never changes.
void send_constant(HttpResponse& response, std::string content, std::string type) {
  response.set_content(std::move(content), std::move(type));
  response.set_header("Cache-Control", "private, max-age=3600, immutable");
}

std::string event(const char* name, const nlohmann::ordered_json& data) {
  return std::string("event: ") + name + "\ndata: " + json_text(data, -1) + "\n";
}

/// Sends every change to one listener until it disconnects. It is sent the state at the time when it is ready to
/// receive, not the states in between: a slow listener skips steps, and nothing is queued for it.
void send_events(const VideoCatalog& catalog, const AddressSigner& signer, BodySink& sink) {
  using Clock = std::chrono::steady_clock;
  VideoChanges changes = catalog.wait_for_changes(0, std::chrono::milliseconds(0));
  nlohmann::ordered_json ids = nlohmann::ordered_json::array();
  for (const ListedVideo& listed : changes.videos) ids.push_back(listed.video.id);
  std::string text = "retry: 1000\n" + event("videos", {{"ids", std::move(ids)}});
  for (auto last = Clock::now();;) {
    for (const ListedVideo& listed : changes.videos) {
      text += event("video", video_object(listed.video, listed.queue_position, signer.query(listed.video.id)));
    }
    for (const std::string& id : changes.deleted) text += event("deleted", {{"id", id}});
    if (text.empty() && Clock::now() - last >= kKeepAliveInterval) text = ": keep-alive\n\n";
    if (text.empty()) {
      if (!sink.is_open()) return;
    } else {
      if (!sink.write(text)) return;
      last = Clock::now();
      text.clear();
    }
    changes = catalog.wait_for_changes(changes.revision, kCheckInterval);
  }
}

}  // namespace

void add_stream_routes(HttpServer& server, VideoStreams& streams, const VideoCatalog* catalog) {
  const auto requested = [&streams, &server, catalog](const HttpRequest& request) {
    const std::string id = request.path_parameter("id");
    return wait_for_stream(
        server, [&] { return streams.find(id); }, [&] { return catalog && !is_final(catalog->get(id).video.status); });
  };
  /// The stream of the running video, or of the last one where none is running or queued.
  const auto current = [&streams, &server, catalog](std::string* id = nullptr) {
    const auto comes = [&] { return catalog && catalog->has_work(); };
    return wait_for_stream(
        server,
        [&]() -> StreamPtr {
          const VideoStreams::Current last = streams.current();
          if (id) *id = last.id;
          return last.stream && last.stream->state().ended && comes() ? nullptr : last.stream;
        },
        comes);
  };
  server.route("GET", "/stream.mp4", [&streams, current](const auto& request, auto& response) {
    send_stream(current(), streams.counts(), request, response);
  });
  server.route("GET", "/v1/videos/{id}/stream.mp4", [&streams, requested](const auto& request, auto& response) {
    send_stream(requested(request), streams.counts(), request, response);
  });
  server.route("GET", "/hls/live.m3u8", [&streams, current](const auto& request, auto& response) {
    std::string id;
    const StreamPtr stream = current(&id);
    send_playlist(*stream, id + "/", streams.counts(), request, response);
  });
  server.route("GET", "/hls/{id}/live.m3u8", [&streams, requested](const auto& request, auto& response) {
    send_playlist(*requested(request), "", streams.counts(), request, response);
  });
  server.route("GET", "/hls/{id}/init.mp4", [requested](const auto& request, auto& response) {
    const StreamPtr stream = requested(request);
    send_constant(response, stream->init_segment(), stream->content_type());
  });
  server.route("GET", "/hls/{id}/{segment}.m4s", [requested](const auto& request, auto& response) {
    const StreamPtr stream = requested(request);
    const int64_t index = hls_segment_index(request.path_parameter("segment"));
    if (index < 0 || index >= stream->state().segments) {
      throw ApiError({404, "no_segment", "the video has no such segment"});
    }
    const VideoStream::Segment segment = stream->segment(index);
    send_constant(response, stream->read(segment.offset, segment.bytes), "video/iso.segment");
  });
}

void add_event_route(HttpServer& server, const VideoCatalog& catalog, VideoStreams& streams,
                     const AddressSigner& signer) {
  server.route("GET", "/v1/events", [&](const auto&, auto& response) {
    response.set_header("X-Accel-Buffering", "no");  // nginx would hold events back
    response.set_stream("text/event-stream", [&](BodySink& sink) {
      const OpenStream open(streams.counts().events);
      send_events(catalog, signer, sink);
      return false;
    });
  });
}

}  // namespace flashblock
