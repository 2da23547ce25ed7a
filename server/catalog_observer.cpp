#include "server/catalog_observer.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "media/video_writer.h"

namespace flashblock {
namespace {

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream) throw MediaError("cannot read " + file.string());
  return bytes;
}

}  // namespace

CatalogObserver::CatalogObserver(std::string id, VideoCatalog& catalog, VideoStreams& streams, RenderObserver* next)
    : id_(std::move(id)), catalog_(catalog), streams_(streams), next_(next) {}

CatalogObserver::~CatalogObserver() {
  if (stream_ && !keep_stream_) stream_->finish();
}

void CatalogObserver::stage(const std::string& name, const RenderProgress& so_far) {
  if (next_) next_->stage(name, so_far);
  pace_.begin(so_far);
  first_block_ = so_far.block;
  catalog_.update(id_, Keep::kInMemory, [&](Video& video) {
    video.progress.stage = name;
    video.progress.block = so_far.block;
    video.progress.blocks = so_far.blocks;
    video.progress.frames = so_far.frames;
  });
}

void CatalogObserver::progress(const RenderProgress& so_far) {
  if (next_) next_->progress(so_far);
  if (so_far.block > first_block_) catalog_.end_hold();
  catalog_.update(id_, Keep::kInMemory, [&](Video& video) {
    video.progress.block = so_far.block;
    video.progress.frames = so_far.frames;
    if (so_far.block > first_block_) {
      video.progress.frames_per_second = pace_.frames_per_second(so_far);
      video.progress.eta_seconds = pace_.seconds_left(so_far);
    }
    video.progress.live = segments_ > 0;
    const auto computed = static_cast<double>(so_far.transformer.external_computed);
    const auto reused = static_cast<double>(so_far.transformer.external_reused);
    if (computed + reused > 0) video.progress.reused_attention = reused / (computed + reused);
  });
}

void CatalogObserver::segments_written(const VideoWriter& writer) {
  if (next_) next_->segments_written(writer);
  try {
    stream_segments(writer);
  } catch (const Error&) {  // with the next segment it is tried again
  }
}

void CatalogObserver::prompt_changed(const TakenPrompt& prompt, double seconds) {
  if (next_) next_->prompt_changed(prompt, seconds);
  catalog_.update(id_, Keep::kOnDisk, [&](Video& video) {
    std::erase_if(video.steered, [&](const VideoPrompt& other) { return other.block == prompt.block; });
    video.steered.push_back({.seconds = seconds, .text = prompt.text, .block = prompt.block});
  });
}

void CatalogObserver::stream_segments(const VideoWriter& writer) {
  if (!stream_) {
    stream_ = streams_.continued(id_);  // of an attempt that failed: its viewers are still there
    if (stream_) segments_ = static_cast<size_t>(stream_->state().segments);
  }
  if (!stream_) {
    stream_ =
        std::make_shared<VideoStream>(std::filesystem::absolute(writer.video()).parent_path(), writer.format().fps);
    stream_->begin(read_file(writer.init_segment()));
    streams_.set_current(id_, stream_);
  }
  for (; segments_ < writer.segments().size(); ++segments_) {
    const Segment& segment = writer.segments()[segments_];
    stream_->append(read_file(segment.file), segment.first_frame, segment.frames);
  }
}

}  // namespace flashblock
