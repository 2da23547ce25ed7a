#include "media/stream_output.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <fstream>
#include <set>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/file_descriptor.h"
#include "media/ffmpeg_handles.h"
#include "media/fragment_stream.h"
#include "media/segment_reader.h"
#include "media/video_muxer.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// Standard output, reserved for the video.
class OutputPipe {
 public:
  OutputPipe() : file_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
    if (!file_) throw MediaError(std::string("cannot write to standard output: ") + std::strerror(errno));
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    ::signal(SIGPIPE, SIG_IGN);
  }
  ~OutputPipe() { ::dup2(file_.get(), STDOUT_FILENO); }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
      if (count >= 0) {
        bytes.remove_prefix(static_cast<size_t>(count));
      } else if (errno == EPIPE) {
        throw MediaError("the reader of standard output has closed it");
      } else if (errno != EINTR) {
        throw MediaError(std::string("cannot write to standard output: ") + std::strerror(errno));
      }
    }
  }

 private:
  FileDescriptor file_;
};

/// The pipe for FFmpeg, which does not let exceptions through.
class MuxedPipe {
 public:
  void check(int code) {
    if (error_) std::rethrow_exception(error_);
    check_ffmpeg(code, "cannot write to standard output");
  }
  AVIOContext* stream() const { return stream_.get(); }

 private:
  int write(std::string_view bytes) {
    try {
      pipe_.write(bytes);
      return static_cast<int>(bytes.size());
    } catch (const MediaError&) {
      error_ = std::current_exception();
      return AVERROR(EIO);
    }
  }

  OutputPipe pipe_;
  std::exception_ptr error_;
  ByteStream stream_ = ByteStream::writer([this](std::string_view bytes) { return write(bytes); });
};

OutputPtr make_output(const char* muxer, const std::string& url = "") {
  AVFormatContext* context = nullptr;
  check_ffmpeg(avformat_alloc_output_context2(&context, nullptr, muxer, url.c_str()),
               std::string("cannot write ") + muxer);
  return OutputPtr(context);
}

/// The segments, byte for byte.
class SegmentPipe : public SegmentReceiver {
 public:
  void write(const fs::path& init_segment, const fs::path& segment) override {
    if (std::exchange(first_, false)) copy(init_segment);
    copy(segment);
  }
  void finish() override {}

 private:
  void copy(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (!stream || bytes.empty()) throw MediaError("cannot read " + file.string());
    pipe_.write(bytes);
  }

  OutputPipe pipe_;
  bool first_ = true;
};

/// Fragmented MP4 with sound: a fragment a segment.
class SoundPipe : public SegmentReceiver {
 public:
  explicit SoundPipe(fs::path audio) : audio_(std::move(audio)) {}

  void write(const fs::path& init_segment, const fs::path& segment) override {
    SegmentReader reader(init_segment, segment, SegmentReader::kOurReorder);
    if (!muxer_) start(reader.stream());
    const PacketPtr packet = make_packet();
    while (reader.next(*packet)) muxer_->write(*packet);
    muxer_->flush();
    pipe_.check(0);
  }
  void finish() override {
    if (!muxer_) return;
    muxer_->finish();
    avio_flush(pipe_.stream());
    pipe_.check(0);
  }

 private:
  void start(const AVStream& source) {
    OutputPtr context = make_output("mp4");
    context->pb = pipe_.stream();
    context->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
    muxer_ = std::make_unique<VideoMuxer>(std::move(context), source, audio_, [this](int code) { pipe_.check(code); });
    Dictionary options;
    options.set("movflags", "frag_custom+empty_moov+default_base_moof+frag_discont+negative_cts_offsets");
    options.set("video_track_timescale", std::to_string(source.time_base.den));
    muxer_->start(options);
  }

  fs::path audio_;
  MuxedPipe pipe_;
  std::unique_ptr<VideoMuxer> muxer_;
};

/// The colour space in Y4M's header. Source: mjpegtools, yuv4mpeg(5); for 10 bits as FFmpeg reads and writes it.
std::string y4m_color_space(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUV420P:
      return "C420mpeg2 XYSCSS=420MPEG2";
    case AV_PIX_FMT_YUV420P10LE:
      return "C420p10 XYSCSS=420P10";
    case AV_PIX_FMT_YUV422P10LE:
      return "C422p10 XYSCSS=422P10";
    case AV_PIX_FMT_YUV444P:
      return "C444 XYSCSS=444";
    default:
      throw MediaError("Y4M does not hold frames of " + std::string(av_get_pix_fmt_name(format)));
  }
}

/// Raw frames: Y4M.
class FramePipe : public SegmentReceiver {
 public:
  void write(const fs::path& init_segment, const fs::path& segment) override {
    SegmentReader reader(init_segment, segment, SegmentReader::kOurReorder);
    if (!decoder_) start(reader.stream());
    const PacketPtr packet = make_packet();
    while (reader.next(*packet)) {
      check_ffmpeg(avcodec_send_packet(decoder_.get(), packet.get()), "cannot decode a segment");
      check_ffmpeg(avcodec_receive_frame(decoder_.get(), frame_.get()), "cannot decode a segment");
      write_frame();
    }
  }
  void finish() override {}

 private:
  void start(const AVStream& source) {
    const AVCodec* codec = avcodec_find_decoder(source.codecpar->codec_id);
    if (!codec) throw MediaError("this build of FFmpeg does not decode the codec of raw frames, FFV1");
    decoder_.reset(avcodec_alloc_context3(codec));
    check_ffmpeg(avcodec_parameters_to_context(decoder_.get(), source.codecpar), "cannot decode a segment");
    decoder_->thread_count = 1;  // so that a frame comes out for each that goes in
    check_ffmpeg(avcodec_open2(decoder_.get(), codec, nullptr), "cannot decode a segment");
    frames_per_second_ = source.time_base.den / kTicksPerFrame;
  }

  void write_frame() {
    const auto format = static_cast<AVPixelFormat>(frame_->format);
    const int bytes = av_image_get_buffer_size(format, frame_->width, frame_->height, 1);
    const std::string start = "FRAME\n";
    std::string text = start + std::string(static_cast<size_t>(check_ffmpeg(bytes, "cannot copy a frame")), '\0');
    auto* pixels = reinterpret_cast<uint8_t*>(text.data() + start.size());
    check_ffmpeg(av_image_copy_to_buffer(pixels, bytes, frame_->data, frame_->linesize, format, frame_->width,
                                         frame_->height, 1),
                 "cannot copy a frame");
    if (std::exchange(first_, false)) {
      pipe_.write("YUV4MPEG2 W" + std::to_string(frame_->width) + " H" + std::to_string(frame_->height) + " F" +
                  std::to_string(frames_per_second_) + ":1 Ip A1:1 " + y4m_color_space(format) +
                  " XCOLORRANGE=LIMITED\n");
    }
    pipe_.write(text);
  }

  OutputPipe pipe_;
  CodecContextPtr decoder_;
  FramePtr frame_ = make_frame();
  int frames_per_second_ = 0;
  bool first_ = true;
};

/// A receiver that may be absent: FFmpeg's `fifo` muxer opens it, writes to it and opens it again, on its own thread.
class Tee : public SegmentReceiver {
 public:
  Tee(std::string url, fs::path audio, std::function<void(const std::string&)> report)
      : url_(std::move(url)), audio_(std::move(audio)), report_(std::move(report)) {
    avformat_network_init();
  }
  ~Tee() override {
    if (!muxer_) return;
    deadline_ = now_ms();  // the video has failed: nobody waits for its end
    av_write_trailer(&muxer_->context());
  }

  void write(const fs::path& init_segment, const fs::path& segment) override {
    guarded([&] {
      SegmentReader reader(init_segment, segment, SegmentReader::kOurReorder);
      if (!muxer_) start(reader.stream());
      const PacketPtr packet = make_packet();
      while (reader.next(*packet)) muxer_->write(*packet);
    });
  }

  void finish() override {
    deadline_ = now_ms() + kPatienceMs;
    guarded([&] {
      if (muxer_) muxer_->finish();
    });
    listener_.reset();
    muxer_.reset();
  }

 private:
  static constexpr int64_t kPatienceMs = 10'000;
  static constexpr const char* kQueuePackets = "1000";

  static int64_t now_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  }
  static int is_over(void* tee) { return now_ms() > static_cast<Tee*>(tee)->deadline_; }

  /// Does the work unless this receiver has been given up; an error gives it up.
  template <typename Work>
  void guarded(const Work& work) {
    if (given_up_) return;
    try {
      work();
    } catch (const Error& error) {
      given_up_ = true;
      report_("tee " + url_ + ": " + error.what() + "; nothing more is sent there");
    }
  }

  /// For the container and its protocol.
  std::string format_options(const std::string& format) const {
    if (format == "flv") return "flvflags=no_duration_filesize";
    if (format == "rtsp") return "rtsp_transport=tcp";
    if (url_.starts_with("srt:")) return "linger=5";  // seconds to deliver the end; without, its last second is lost
    return "";
  }

  void start(const AVStream& source);
  void hear(const std::string& text);

  std::string url_;
  fs::path audio_;
  std::function<void(const std::string&)> report_;
  std::atomic<int64_t> deadline_{INT64_MAX};
  std::set<std::string> reported_;  ///< since the receiver last answered; of the muxer's thread
  std::unique_ptr<LogListener> listener_;
  std::unique_ptr<VideoMuxer> muxer_;
  bool given_up_ = false;
};

/// The container for a URL; null: none.
const AVOutputFormat* format_of(const std::string& url) {
  const std::string scheme = is_url(url) ? url.substr(0, url.find(':')) : "";
  if (scheme == "rtmp" || scheme == "rtmps") return av_guess_format("flv", nullptr, nullptr);
  if (scheme == "srt" || scheme == "udp") return av_guess_format("mpegts", nullptr, nullptr);
  if (scheme == "rtsp") return av_guess_format("rtsp", nullptr, nullptr);
  return scheme.empty() ? av_guess_format(nullptr, url.c_str(), nullptr) : nullptr;
}

void Tee::start(const AVStream& source) {
  const std::string format = format_of(url_)->name;
  OutputPtr context = make_output("fifo", is_url(url_) ? url_ : ffmpeg_url(url_));
  context->interrupt_callback = {is_over, this};
  listener_ = std::make_unique<LogListener>(context.get(), [this](const std::string& text) { hear(text); });
  auto muxer = std::make_unique<VideoMuxer>(std::move(context), source, audio_,
                                            [](int code) { check_ffmpeg(code, "the connection is lost"); });
  Dictionary options;
  options.set("fifo_format", format);
  options.set("queue_size", kQueuePackets);
  options.set("drop_pkts_on_overflow", "1");
  options.set("attempt_recovery", "1");
  options.set("recover_any_error", "1");
  options.set("recovery_wait_time", "1");
  options.set("restart_with_keyframe", "1");
  if (const std::string inner = format_options(format); !inner.empty()) options.set("format_opts", inner);
  muxer->start(options);
  muxer_ = std::move(muxer);  // from here on it has a thread, which the trailer ends
}

/// What the `fifo` muxer says: each text once, until the receiver answers again.
void Tee::hear(const std::string& text) {
  const bool answers = text.find("successful") != text.npos;
  if (answers ? reported_.empty() : !reported_.insert(text).second) return;
  if (answers) reported_.clear();
  report_("tee " + url_ + ": " + (answers ? "receives again" : text + "; trying again"));
}

}  // namespace

std::unique_ptr<SegmentReceiver> make_standard_output(Container container, const fs::path& audio) {
  if (container == Container::kY4mStream) return std::make_unique<FramePipe>();
  if (audio.empty()) return std::make_unique<SegmentPipe>();
  return std::make_unique<SoundPipe>(audio);
}

std::unique_ptr<SegmentReceiver> make_tee(const std::string& url, const fs::path& audio,
                                          std::function<void(const std::string&)> report) {
  silence_ffmpeg_log();
  return std::make_unique<Tee>(url, audio, std::move(report));
}

bool is_url(const std::string& target) { return target.find("://") != target.npos; }

void check_tee(const std::string& url) {
  if (!format_of(url)) {
    throw ConfigError("tee is '" + url + "', wanted rtmp://, srt://, udp:// or rtsp://, or a file such as NAME.ts");
  }
  const bool known = !is_url(url) || url.starts_with("rtsp:") || avio_find_protocol_name(url.c_str());
  if (!known || !av_guess_format("fifo", nullptr, nullptr)) {
    throw ConfigError("tee " + url + ": this build of FFmpeg cannot send to it");
  }
}

}  // namespace flashblock
