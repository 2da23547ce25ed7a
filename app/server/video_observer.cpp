#include "app/server/video_observer.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "media/film_writer.h"

namespace flashblock {
namespace {

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream) throw MediaError("cannot read " + file.string());
  return bytes;
}

}  // namespace

VideoObserver::VideoObserver(std::string id, VideoCatalog& catalog, FilmStreams& streams, FilmObserver* next)
    : id_(std::move(id)), catalog_(catalog), streams_(streams), next_(next) {}

VideoObserver::~VideoObserver() {
  if (stream_) stream_->finish();
}

void VideoObserver::stage(const std::string& name, const FilmProgress& so_far) {
  if (next_) next_->stage(name, so_far);
  stage_ = name;
  pace_.begin(so_far);
  catalog_.update(id_, Keep::kInMemory, [&](Video& video) {
    video.progress.stage = name;
    video.progress.block = so_far.block;
    video.progress.blocks = so_far.blocks;
    video.progress.pictures = so_far.pictures;
  });
}

void VideoObserver::progress(const FilmProgress& so_far) {
  if (next_) next_->progress(so_far);
  catalog_.update(id_, Keep::kInMemory, [&](Video& video) {
    video.progress.block = so_far.block;
    video.progress.pictures = so_far.pictures;
    video.progress.pictures_per_second = pace_.pictures_per_second(so_far);
    video.progress.eta_seconds = pace_.seconds_left(so_far);
    video.progress.live = pieces_ > 0;
    const auto computed = static_cast<double>(so_far.transformer.external_computed);
    const auto reused = static_cast<double>(so_far.transformer.external_reused);
    if (computed + reused > 0) video.progress.reused_attention = reused / (computed + reused);
  });
}

void VideoObserver::written(const FilmWriter& writer) {
  if (next_) next_->written(writer);
  if (!fault_.empty()) return;
  try {
    take_pieces(writer);
  } catch (const Error& error) {
    fault_ = error.what();
    if (stream_) stream_->finish();
  }
}

void VideoObserver::prompt_changed(const TakenPrompt& prompt, double seconds) {
  if (next_) next_->prompt_changed(prompt, seconds);
  catalog_.update(id_, Keep::kOnDisk, [&](Video& video) {
    std::erase_if(video.steered, [&](const VideoPrompt& other) { return other.block == prompt.block; });
    video.steered.push_back({.seconds = seconds, .text = prompt.text, .block = prompt.block});
  });
}

void VideoObserver::joined(const FilmResult& result) {
  if (next_) next_->joined(result);
}

void VideoObserver::take_pieces(const FilmWriter& writer) {
  if (!stream_) {
    stream_ = std::make_shared<FilmStream>(std::filesystem::absolute(writer.film()).parent_path(), writer.format().fps);
    stream_->begin(read_file(writer.init_segment()));
    streams_.set_current(id_, stream_);
  }
  for (; pieces_ < writer.pieces().size(); ++pieces_) {
    const FilmPiece& piece = writer.pieces()[pieces_];
    stream_->append(read_file(piece.file), piece.first_frame, piece.frames);
  }
}

}  // namespace flashblock
