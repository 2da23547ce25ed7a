// Videos on standard output and on the network, while they are made.
#include "media/stream_output.h"

#include <ATen/core/Tensor.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/file_descriptor.h"
#include "media/frame_conversion.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "tests/media/test_video.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// Standard output is another descriptor while it lives.
class OtherOutput {
 public:
  explicit OtherOutput(int descriptor) : before_(::dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    ::dup2(descriptor, STDOUT_FILENO);
  }
  ~OtherOutput() {
    std::fflush(stdout);
    ::dup2(before_.get(), STDOUT_FILENO);
  }
  OtherOutput(const OtherOutput&) = delete;
  OtherOutput& operator=(const OtherOutput&) = delete;

 private:
  FileDescriptor before_;
};

/// A process of ffmpeg.
class Ffmpeg {
 public:
  explicit Ffmpeg(const std::string& arguments) : process_(::fork()) {
    if (process_ != 0) return;
    const std::string command = "unset LD_LIBRARY_PATH; exec ffmpeg -nostdin -v error -y " + arguments;
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  ~Ffmpeg() { kill(); }
  Ffmpeg(const Ffmpeg&) = delete;
  Ffmpeg& operator=(const Ffmpeg&) = delete;

  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(std::exchange(process_, -1), nullptr, 0);
  }
  /// Whether it ends by itself within the time.
  bool ends_within(std::chrono::seconds time) {
    for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {
      if (::waitpid(process_, nullptr, WNOHANG) == process_) return process_ = -1, true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }

 private:
  pid_t process_;
};

/// A port of this machine that nothing listens on.
int free_port() {
  const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

class StreamOutput : public ::testing::Test {
 protected:
  /// The writer of a video for this container.
  VideoWriter& writer(Container container = Container::kMp4Stream, const std::string& pixel_format = "") {
    VideoFormat format = small_format();
    format.encoding = resolve_encoding(container, "", pixel_format);
    writer_.reset();  // gives up its folder
    writer_ = std::make_unique<VideoWriter>(folder_.path() / "video.stream", format, ExistingVideo::kReplace);
    return *writer_;
  }
  void send_all(SegmentReceiver& receiver) const {
    for (const Segment& segment : writer_->segments()) receiver.write(writer_->init_segment(), segment.file);
    receiver.finish();
  }
  /// Writes a frame block and sends it.
  void send_more(SegmentReceiver& receiver) const {
    receiver.write(writer_->init_segment(), writer_->write(pattern_frames(writer_->frames(), 12, 128, 80)).file);
  }
  /// Sends frame blocks, ten a second, until `done`; false after 30 s.
  bool send_until(SegmentReceiver& receiver, const std::function<bool()>& done) const {
    for (int i = 0; i < 300 && !done(); ++i) {
      send_more(receiver);
      std::this_thread::sleep_for(100ms);
    }
    return done();
  }

  /// What is written to standard output, as a file.
  fs::path received(Container container, const fs::path& audio, const std::string& ending) {
    const fs::path file = folder_.path() / ("received" + ending);
    const FileDescriptor target(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    const OtherOutput other(target.get());
    const auto output = make_standard_output(container, audio);
    std::puts("a line that some library prints");
    std::fflush(stdout);
    send_all(*output);
    return file;
  }

  std::function<void(const std::string&)> listener() {
    return [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      reports_ += text + "\n";
    };
  }
  bool reported(const std::string& text) {
    const std::lock_guard lock(mutex_);
    return reports_.find(text) != reports_.npos;
  }

  TemporaryFolder folder_;
  std::unique_ptr<VideoWriter> writer_;
  std::mutex mutex_;
  std::string reports_;
};

TEST_F(StreamOutput, SegmentsGoToStandardOutputByteForByte) {
  write_pattern(writer(), 21);
  std::vector<fs::path> files = {writer_->init_segment()};
  for (const Segment& segment : writer_->segments()) files.push_back(segment.file);
  concatenate(files, folder_.path() / "whole.mp4");
  const fs::path file = received(Container::kMp4Stream, {}, ".mp4");
  EXPECT_EQ(file_bytes(file), file_bytes(folder_.path() / "whole.mp4")) << "and nothing else";
  EXPECT_EQ(read_video(file).size(0), 21);
}

TEST_F(StreamOutput, APlayerGetsAllFramesFromThePipe) {
  if (!has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not installed";
  writer();
  const fs::path copy = folder_.path() / "copy.mkv";
  const std::string command = "unset LD_LIBRARY_PATH; ffmpeg -v warning -y -i - -c copy " + copy.string();
  FILE* pipe = ::popen(command.c_str(), "w");
  ASSERT_NE(pipe, nullptr);
  {
    const OtherOutput other(::fileno(pipe));
    const auto output = make_standard_output(Container::kMp4Stream, {});
    for (int i = 0; i < 5; ++i) send_more(*output);
    output->finish();
  }
  EXPECT_EQ(::pclose(pipe), 0);
  EXPECT_EQ(read_video(copy).size(0), 60);
}

TEST_F(StreamOutput, RawFramesAreThoseOfTheSegments) {
  for (const std::string pixel_format : {"yuv420p", "yuv422p10le"}) {
    write_pattern(writer(Container::kY4mStream, pixel_format), 21);
    const fs::path file = received(Container::kY4mStream, {}, ".y4m");
    const std::string header = file_bytes(file).substr(0, 120);
    EXPECT_THAT(header, HasSubstr("YUV4MPEG2 W128 H80 F16:1 Ip A1:1 C4"));
    EXPECT_THAT(header, HasSubstr("XCOLORRANGE=LIMITED"));
    const int64_t frame_bytes = 128 * 80 * (pixel_format == "yuv420p" ? 3 : 8) / 2 + 6;  // "FRAME\n"
    EXPECT_EQ(static_cast<int64_t>(fs::file_size(file)) % frame_bytes, static_cast<int64_t>(header.find('\n')) + 1);
    EXPECT_EQ(static_cast<int64_t>(fs::file_size(file)) / frame_bytes, 21);
    if (!has_ffmpeg()) continue;
    const std::string decoded = (folder_.path() / "decoded.mkv").string();
    EXPECT_EQ(std::system(("unset LD_LIBRARY_PATH; ffmpeg -v error -y -i " + file.string() +
                           " -colorspace bt709 -c:v ffv1 " + decoded)
                              .c_str()),
              0);
    EXPECT_GT(psnr(read_video(decoded), pattern_frames(0, 21, 128, 80)), pixel_format == "yuv420p" ? 38 : 40);
  }
}

TEST_F(StreamOutput, SoundIsMixedIn) {
  if (!has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not installed";
  const std::string tone = (folder_.path() / "tone.wav").string();
  ASSERT_EQ(std::system(
                ("unset LD_LIBRARY_PATH; ffmpeg -v error -f lavfi -i sine=d=1:r=22050 -c:a pcm_s16le " + tone).c_str()),
            0);
  write_pattern(writer(), 33);
  const fs::path file = received(Container::kMp4Stream, tone, ".mp4");
  EXPECT_EQ(read_video(file).size(0), 33);
  const std::string listing = (folder_.path() / "listing").string();
  EXPECT_EQ(
      std::system(("unset LD_LIBRARY_PATH; ffmpeg -v warning -i " + file.string() + " -f null - 2>" + listing).c_str()),
      0);
  EXPECT_EQ(file_bytes(listing), "");
  const std::string raw = (folder_.path() / "sound.pcm").string();
  EXPECT_EQ(
      std::system(("unset LD_LIBRARY_PATH; ffmpeg -v error -i " + file.string() + " -ac 1 -f s16le " + raw).c_str()),
      0);
  EXPECT_NEAR(static_cast<double>(fs::file_size(raw)) / 96000, 33.0 / 16, 0.025);
}

TEST_F(StreamOutput, AReaderThatIsGoneIsAnError) {
  for (const Container container : {Container::kMp4Stream, Container::kY4mStream}) {
    write_pattern(writer(container), 21);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ::close(ends[0]);
    const OtherOutput other(ends[1]);
    ::close(ends[1]);
    const auto output = make_standard_output(container, {});
    const Segment& segment = writer_->segments().front();
    EXPECT_THAT(error_text<MediaError>([&] { output->write(writer_->init_segment(), segment.file); }),
                HasSubstr("the reader of standard output has closed it"));
  }
}

TEST_F(StreamOutput, TeeWritesAFile) {
  write_pattern(writer(), 45);
  const fs::path file = folder_.path() / "tee.ts";
  const auto tee = make_tee(file.string(), {}, listener());
  send_all(*tee);
  EXPECT_EQ(reports_, "");
  const at::Tensor found = read_video(file);
  ASSERT_EQ(found.size(0), 45);
  EXPECT_GT(psnr(found, pattern_frames(0, 45, 128, 80)), 36);
}

TEST_F(StreamOutput, TeeSendsDatagrams) {
  write_pattern(writer(), 45);
  const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  send_all(*make_tee("udp://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), {}, listener()));
  const fs::path file = folder_.path() / "received.ts";
  {
    std::ofstream stream(file, std::ios::binary);
    char bytes[65536];
    for (ssize_t count; (count = ::recv(socket.get(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0;) {
      stream.write(bytes, count);
    }
  }
  EXPECT_EQ(read_video(file).size(0), 45);
}

TEST_F(StreamOutput, TeeSendsOverSrt) {
  if (!has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not installed";
  const std::string url = "srt://127.0.0.1:" + std::to_string(free_port());
  try {
    check_tee(url);
  } catch (const ConfigError&) {
    GTEST_SKIP() << "this FFmpeg has no SRT";
  }
  const fs::path file = folder_.path() / "received.ts";
  Ffmpeg receiver("-i '" + url + "?mode=listener' -c copy -flush_packets 1 " + file.string());
  writer();
  const auto tee = make_tee(url, {}, listener());
  EXPECT_TRUE(send_until(*tee, [&] { return fs::exists(file) && fs::file_size(file) > 10'000; })) << reports_;
  for (int i = 0; i < 10; ++i) send_more(*tee);
  tee->finish();
  EXPECT_TRUE(receiver.ends_within(20s)) << "it was not closed";
  EXPECT_GE(read_video(file).size(0), 10 * 12) << "the last second, too";
}

TEST_F(StreamOutput, TeeGoesOnWithAReceiverThatIsKilledAndRestarted) {
  if (!has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not installed";
  const int port = free_port();
  const std::string url = "rtmp://127.0.0.1:" + std::to_string(port) + "/live/video", input = "-listen 1 -i " + url;
  const fs::path first = folder_.path() / "first.ts", second = folder_.path() / "second.ts";
  writer();
  const auto tee = make_tee(url, {}, listener());
  EXPECT_TRUE(send_until(*tee, [&] { return reported("trying again"); })) << "there is no receiver yet: " << reports_;
  const auto receives = [](const fs::path& file) { return fs::exists(file) && fs::file_size(file) > 10'000; };
  Ffmpeg victim(input + " -c copy -flush_packets 1 " + first.string());
  EXPECT_TRUE(send_until(*tee, [&] { return reported("receives again") && receives(first); })) << reports_;
  {
    const std::lock_guard lock(mutex_);
    reports_.clear();
  }
  victim.kill();
  EXPECT_TRUE(send_until(*tee, [&] { return reported("trying again"); })) << reports_;
  Ffmpeg receiver(input + " -c copy -flush_packets 1 " + second.string());
  EXPECT_TRUE(send_until(*tee, [&] { return reported("receives again") && receives(second); })) << reports_;
  std::chrono::steady_clock::duration sending{};
  for (int i = 0; i < 20; ++i) {
    const Segment segment = writer_->write(pattern_frames(writer_->frames(), 12, 128, 80));
    const auto start = std::chrono::steady_clock::now();
    tee->write(writer_->init_segment(), segment.file);
    sending += std::chrono::steady_clock::now() - start;
  }
  EXPECT_LT(sending, 10s) << "sending does not wait";
  tee->finish();
  EXPECT_TRUE(receiver.ends_within(20s)) << "it was not closed";
  EXPECT_GE(read_video(second).size(0), 20 * 12);
  EXPECT_GE(read_video(first).size(0), 1);
}

TEST_F(StreamOutput, ADeadReceiverNeverHoldsTheVideoUp) {
  write_pattern(writer(), 45);
  // A listening socket that accepts nothing: connections are made by the system and never read.
  const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(socket.get(), 1), 0);
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  const auto start = std::chrono::steady_clock::now();
  {
    const auto tee =
        make_tee("rtmp://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/live/video", {}, listener());
    for (const Segment& segment : writer_->segments()) tee->write(writer_->init_segment(), segment.file);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
  }  // and is given up with the video
  EXPECT_LT(std::chrono::steady_clock::now() - start, 8s);
}

TEST(CheckTee, NamesWhatIsWanted) {
  EXPECT_THAT(error_text<ConfigError>([] { check_tee("gopher://host/x"); }), HasSubstr("wanted rtmp://"));
  EXPECT_THAT(error_text<ConfigError>([] { check_tee("video"); }), HasSubstr("NAME.ts"));
  check_tee("video.ts");
}

}  // namespace
}  // namespace flashblock::testing
