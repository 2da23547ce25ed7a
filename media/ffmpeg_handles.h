// The only place that includes FFmpeg's headers: owning types, error text, version switches. Private to media/.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/dict.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace flashblock {

struct FfmpegDeleter {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
  void operator()(SwrContext* context) const { swr_free(&context); }
  void operator()(AVAudioFifo* fifo) const { av_audio_fifo_free(fifo); }
};
using CodecContextPtr = std::unique_ptr<AVCodecContext, FfmpegDeleter>;
using FramePtr = std::unique_ptr<AVFrame, FfmpegDeleter>;
using PacketPtr = std::unique_ptr<AVPacket, FfmpegDeleter>;
using SwsContextPtr = std::unique_ptr<SwsContext, FfmpegDeleter>;
using ResamplerPtr = std::unique_ptr<SwrContext, FfmpegDeleter>;
using AudioFifoPtr = std::unique_ptr<AVAudioFifo, FfmpegDeleter>;

/// A container being read. Separate deleter, because FFmpeg frees readers and writers differently.
struct InputDeleter {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};
using InputPtr = std::unique_ptr<AVFormatContext, InputDeleter>;

/// A container being written; does not own its byte stream (`pb`).
struct OutputDeleter {
  void operator()(AVFormatContext* context) const { avformat_free_context(context); }
};
using OutputPtr = std::unique_ptr<AVFormatContext, OutputDeleter>;

/// Owned AVDictionary.
class Dictionary {
 public:
  Dictionary() = default;
  ~Dictionary() { av_dict_free(&entries_); }
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;
  void set(const std::string& key, const std::string& value) { av_dict_set(&entries_, key.c_str(), value.c_str(), 0); }
  AVDictionary** get() { return &entries_; }

 private:
  AVDictionary* entries_ = nullptr;
};

/// A byte stream for FFmpeg that is backed by our own function.
class ByteStream {
 public:
  /// Reads at most `capacity` bytes into `buffer`; returns how many, 0 at the end, or an AVERROR.
  using Read = std::function<int(uint8_t* buffer, int capacity)>;
  /// Writes `bytes`; returns their count or an AVERROR.
  using Write = std::function<int(std::string_view bytes)>;

  static ByteStream reader(Read read);
  static ByteStream writer(Write write);
  ~ByteStream();
  ByteStream(ByteStream&&) noexcept = default;

  AVIOContext* get() const { return context_.get(); }

 private:
  struct Callbacks {
    Read read;
    Write write;
  };
  ByteStream(Callbacks callbacks, bool writing);
  static int read_bytes(void* callbacks, uint8_t* buffer, int capacity);
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  static int write_bytes(void* callbacks, const uint8_t* bytes, int count);
#else
  static int write_bytes(void* callbacks, uint8_t* bytes, int count);
#endif

  struct ContextDeleter {
    void operator()(AVIOContext* context) const;
  };
  std::unique_ptr<Callbacks> callbacks_;
  std::unique_ptr<AVIOContext, ContextDeleter> context_;
};

FramePtr make_frame();
/// A frame with memory for its pixels.
FramePtr make_frame(AVPixelFormat format, int width, int height);
PacketPtr make_packet();

/// FFmpeg's text for an error code, e.g. "Invalid data found when processing input".
std::string ffmpeg_error_text(int code);

/// Returns `code`, or throws MediaError("`what`: FFmpeg's text") if it is negative.
int check_ffmpeg(int code, const std::string& what);

/// An encoder, not opened yet, of the size and pixel format of `image`; `name`: of the image format, in messages.
/// Throws: MediaError if this build of FFmpeg has none.
CodecContextPtr make_image_encoder(AVCodecID codec, const std::string& name, const AVFrame& image);
/// Opens the encoder and encodes one image; returns the bytes of its file. Throws: MediaError.
std::string encode_image(AVCodecContext& encoder, const std::string& name, const AVFrame& image);

/// The display matrix [3, 3] of a frame, else of its stream; null if neither has one.
const int32_t* display_matrix(const AVStream& stream, const AVFrame& frame);

/// A file name for FFmpeg that is never parsed as a protocol or an option.
std::string ffmpeg_url(const std::filesystem::path& file);

/// Keeps FFmpeg's and x264's own log lines off standard error, for the whole process. Errors are reported as
/// exceptions.
void silence_ffmpeg_log();

/// Gets what one of FFmpeg's contexts logs, errors and news, while it lives; for what works on a thread of its own and
/// cannot return an error. `hear` is called on that thread, one line at a time.
class LogListener {
 public:
  LogListener(const void* context, std::function<void(const std::string& line)> hear);
  ~LogListener();
  LogListener(const LogListener&) = delete;
  LogListener& operator=(const LogListener&) = delete;

 private:
  const void* context_;
};

}  // namespace flashblock
