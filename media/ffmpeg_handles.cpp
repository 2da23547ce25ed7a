#include "media/ffmpeg_handles.h"

#include <cstdarg>
#include <cstdio>
#include <map>
#include <mutex>
#include <new>
#include <utility>

#include "core/error.h"

namespace flashblock {
namespace {

constexpr int kStreamBufferBytes = 64 << 10;

template <typename T>
T* check_allocated(T* pointer) {
  if (!pointer) throw std::bad_alloc();
  return pointer;
}

struct LogListeners {
  std::mutex mutex;
  std::map<const void*, std::function<void(const std::string&)>> by_context;
};

LogListeners& log_listeners() {
  static LogListeners listeners;
  return listeners;
}

/// The process's callback of av_log: every line goes to the listener of its context, or nowhere.
void deliver_log(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_INFO) return;
  const std::lock_guard lock(log_listeners().mutex);
  const auto found = log_listeners().by_context.find(context);
  if (found == log_listeners().by_context.end()) return;
  char text[1024];
  std::vsnprintf(text, sizeof text, format, arguments);
  std::string line = text;
  while (!line.empty() && line.back() == '\n') line.pop_back();
  found->second(line);
}

}  // namespace

ByteStream::ByteStream(Callbacks callbacks, bool writing)
    : callbacks_(std::make_unique<Callbacks>(std::move(callbacks))) {
  auto* buffer = static_cast<unsigned char*>(check_allocated(av_malloc(kStreamBufferBytes)));
  context_.reset(avio_alloc_context(buffer, kStreamBufferBytes, writing ? 1 : 0, callbacks_.get(),
                                    writing ? nullptr : read_bytes, writing ? write_bytes : nullptr, nullptr));
  if (!context_) {
    av_free(buffer);
    throw std::bad_alloc();
  }
  context_->seekable = 0;
}

ByteStream ByteStream::reader(Read read) { return ByteStream({std::move(read), {}}, false); }
ByteStream ByteStream::writer(Write write) { return ByteStream({{}, std::move(write)}, true); }
ByteStream::~ByteStream() = default;

void ByteStream::ContextDeleter::operator()(AVIOContext* context) const {
  av_freep(&context->buffer);
  avio_context_free(&context);
}

int ByteStream::read_bytes(void* callbacks, uint8_t* buffer, int capacity) {
  const int count = static_cast<Callbacks*>(callbacks)->read(buffer, capacity);
  return count == 0 ? AVERROR_EOF : count;
}

#if LIBAVFORMAT_VERSION_MAJOR >= 61
int ByteStream::write_bytes(void* callbacks, const uint8_t* bytes, int count) {
#else
int ByteStream::write_bytes(void* callbacks, uint8_t* bytes, int count) {
#endif
  return static_cast<Callbacks*>(callbacks)->write({reinterpret_cast<const char*>(bytes), static_cast<size_t>(count)});
}

FramePtr make_frame() { return FramePtr(check_allocated(av_frame_alloc())); }

FramePtr make_frame(AVPixelFormat format, int width, int height) {
  FramePtr frame = make_frame();
  frame->format = format;
  frame->width = width;
  frame->height = height;
  check_ffmpeg(av_frame_get_buffer(frame.get(), 0), "cannot allocate a frame");
  return frame;
}

PacketPtr make_packet() { return PacketPtr(check_allocated(av_packet_alloc())); }

std::string ffmpeg_error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

int check_ffmpeg(int code, const std::string& what) {
  if (code < 0) throw MediaError(what + ": " + ffmpeg_error_text(code));
  return code;
}

CodecContextPtr make_image_encoder(AVCodecID codec, const std::string& name, const AVFrame& image) {
  silence_ffmpeg_log();
  const AVCodec* found = avcodec_find_encoder(codec);
  if (!found) throw MediaError("this build of FFmpeg has no " + name + " encoder");
  CodecContextPtr encoder(avcodec_alloc_context3(found));
  encoder->width = image.width;
  encoder->height = image.height;
  encoder->pix_fmt = static_cast<AVPixelFormat>(image.format);
  encoder->color_range = image.color_range;
  encoder->time_base = {1, 1};
  encoder->thread_count = 1;
  return encoder;
}

std::string encode_image(AVCodecContext& encoder, const std::string& name, const AVFrame& image) {
  check_ffmpeg(avcodec_open2(&encoder, nullptr, nullptr), "cannot start the " + name + " encoder");
  const PacketPtr packet = make_packet();
  const std::string what = "cannot encode a " + name;
  check_ffmpeg(avcodec_send_frame(&encoder, &image), what);
  check_ffmpeg(avcodec_send_frame(&encoder, nullptr), what);
  check_ffmpeg(avcodec_receive_packet(&encoder, packet.get()), what);
  return {reinterpret_cast<const char*>(packet->data), static_cast<size_t>(packet->size)};
}

const int32_t* display_matrix(const AVStream& stream, const AVFrame& frame) {
  constexpr size_t kMatrixBytes = 9 * sizeof(int32_t);
  const AVFrameSideData* own = av_frame_get_side_data(&frame, AV_FRAME_DATA_DISPLAYMATRIX);
  if (own && static_cast<size_t>(own->size) >= kMatrixBytes) return reinterpret_cast<const int32_t*>(own->data);
#if LIBAVCODEC_VERSION_MAJOR >= 61
  const AVPacketSideData* found = av_packet_side_data_get(
      stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  return found && found->size >= kMatrixBytes ? reinterpret_cast<const int32_t*>(found->data) : nullptr;
#else
  size_t size = 0;
  const uint8_t* found = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return found && size >= kMatrixBytes ? reinterpret_cast<const int32_t*>(found) : nullptr;
#endif
}

std::string ffmpeg_url(const std::filesystem::path& file) { return "file:" + file.string(); }

void silence_ffmpeg_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    av_log_set_level(AV_LOG_QUIET);
    av_log_set_callback(deliver_log);
  });
}

LogListener::LogListener(const void* context, std::function<void(const std::string& line)> hear) : context_(context) {
  const std::lock_guard lock(log_listeners().mutex);
  log_listeners().by_context[context] = std::move(hear);
}

LogListener::~LogListener() {
  const std::lock_guard lock(log_listeners().mutex);
  log_listeners().by_context.erase(context_);
}

}  // namespace flashblock
