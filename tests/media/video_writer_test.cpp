#include "media/video_writer.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/randint.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <thread>

#include "core/error.h"
#include "media/frame_conversion.h"
#include "media/segment_encoder.h"
#include "media/video_reader.h"
#include "tests/media/test_video.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::concatenate;
using testing::error_line_of;
using testing::error_text;
using testing::file_bytes;
using ::testing::HasSubstr;
using testing::pattern_frames;
using testing::psnr;
using testing::small_format;
using testing::write_pattern;

/// All frames of a file, with their times.
struct Video {
  VideoInfo info;
  std::vector<VideoFrame> frames;
};

Video read_whole_video(const fs::path& file) {
  VideoReader reader(file);
  Video video{reader.info(), {}};
  VideoFrame frame;
  while (reader.next(frame)) video.frames.push_back(frame);
  return video;
}

void expect_even_times(const Video& video, int64_t fps) {
  for (size_t i = 0; i < video.frames.size(); ++i) {
    EXPECT_DOUBLE_EQ(video.frames[i].seconds, static_cast<double>(i) / static_cast<double>(fps)) << "frame " << i;
  }
}

/// 0 if a command of the FFmpeg that is installed here prints nothing; -1 if there is none.
int run_quiet(const std::string& command) {
  if (std::system("command -v ffmpeg >/dev/null 2>&1 && command -v ffprobe >/dev/null 2>&1") != 0) return -1;
  return std::system(("unset LD_LIBRARY_PATH; test -z \"$(" + command + " 2>&1)\"").c_str());
}

class VideoWriterTest : public ::testing::Test {
 protected:
  // Some tests fork; a child cannot use the thread pool of its parent, so there must be none.
  static void SetUpTestSuite() { at::set_num_threads(1); }

  std::vector<fs::path> segment_files(const VideoWriter& writer) {
    std::vector<fs::path> files = {writer.init_segment()};
    for (const Segment& segment : writer.segments()) files.push_back(segment.file);
    return files;
  }

  testing::TemporaryFolder folder_;
  fs::path video_ = folder_.path() / "a video: 100%.mp4";
};

TEST_F(VideoWriterTest, VideoHasExactFramesTimesTagsAndMetadata) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
  write_pattern(writer, 45);
  writer.join({{"prompt", "a red balloon, ünïcode\nsecond line"}, {"seed", "18446744073709551615"}});
  const Video video = read_whole_video(video_);
  ASSERT_EQ(video.frames.size(), 45u);
  expect_even_times(video, 16);
  EXPECT_EQ(video.info.width, 128);
  EXPECT_EQ(video.info.height, 80);
  EXPECT_DOUBLE_EQ(video.info.fps, 16);
  EXPECT_EQ(video.info.start_seconds, 0);
  EXPECT_EQ(video.info.codec, "h264");
  EXPECT_EQ(video.info.pixel_format, "yuv420p");
  EXPECT_EQ(video.info.color_range, "tv");
  EXPECT_EQ(video.info.color_matrix, "bt709");
  EXPECT_EQ(video.info.color_primaries, "bt709");
  EXPECT_EQ(video.info.color_transfer, "bt709");
  EXPECT_EQ(video.info.metadata.at("prompt"), "a red balloon, ünïcode\nsecond line");
  EXPECT_EQ(video.info.metadata.at("seed"), "18446744073709551615");
  const std::string bytes = file_bytes(video_);
  EXPECT_EQ(bytes.find("elst"), std::string::npos) << "an edit list";
  EXPECT_LT(bytes.find("moov"), bytes.find("mdat")) << "the index is not in front";
  EXPECT_FALSE(fs::exists(video_.string() + ".part"));
}

TEST_F(VideoWriterTest, FramesComeBackAsWritten) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
  write_pattern(writer, 33);
  writer.join({});
  const at::Tensor expected = pattern_frames(0, 33, 128, 80);
  const at::Tensor found = read_video(video_);
  ASSERT_EQ(found.sizes(), expected.sizes());
  EXPECT_GT(psnr(found, expected), 38);
  EXPECT_LT((found - expected).mean().abs().item<double>(), 0.002) << "brightness moved: a wrong range or rounding";
  for (int64_t i = 0; i < 33; ++i) EXPECT_GT(psnr(found[i], expected[i]), 36) << "frame " << i;
}

TEST_F(VideoWriterTest, SegmentsEncodedSideBySideAreTheSame) {
  const fs::path again = folder_.path() / "again.mp4";
  VideoWriter one_by_one(video_, small_format(), ExistingVideo::kRefuse, 40);
  VideoWriter side_by_side(again, small_format(), ExistingVideo::kRefuse, 40);
  std::vector<EncodingSegment> encoding;
  int64_t frame = 0;
  for (const int64_t count : {9, 12, 12, 12, 12}) {
    const at::Tensor frames = pattern_frames(frame, count, 128, 80);
    one_by_one.write(frames, {.texts = {{"first", std::to_string(frame)}}});
    encoding.push_back(side_by_side.encode(frames, {.texts = {{"first", std::to_string(frame)}}}));
    frame += count;
  }
  EXPECT_TRUE(side_by_side.segments().empty());
  for (EncodingSegment& segment : encoding) side_by_side.store(std::move(segment));
  ASSERT_EQ(one_by_one.segments().size(), 4u) << "the limit is 40 frames";
  ASSERT_EQ(side_by_side.segments().size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(side_by_side.segments()[i].frames, i == 3 ? 7 : one_by_one.segments()[i].frames);
    EXPECT_EQ(file_bytes(side_by_side.segments()[i].file), file_bytes(one_by_one.segments()[i].file)) << i;
    EXPECT_EQ(side_by_side.note(static_cast<int64_t>(i)).texts, one_by_one.note(static_cast<int64_t>(i)).texts) << i;
  }
}

TEST_F(VideoWriterTest, SegmentsAreStoredInTheirOrderOnly) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
  EncodingSegment first = writer.encode(pattern_frames(0, 9, 128, 80));
  EncodingSegment second = writer.encode(pattern_frames(9, 12, 128, 80));
  EXPECT_ANY_THROW(writer.store(std::move(second)));
  writer.store(std::move(first));
  EXPECT_EQ(writer.write(pattern_frames(9, 12, 128, 80)).first_frame, 9);
}

TEST_F(VideoWriterTest, EverySegmentBeginsWithItsOnlyKeyFrame) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
  for (int block = 0; block < 3; ++block) {  // scene cuts inside the blocks, which must not make key frames
    at::Tensor frames = pattern_frames(0, 12, 128, 80).clone();
    frames.slice(0, 5) = 1 - frames.slice(0, 5);
    writer.write(frames);
  }
  writer.join({});
  const Video video = read_whole_video(video_);
  for (size_t i = 0; i < video.frames.size(); ++i) EXPECT_EQ(video.frames[i].key_frame, i % 12 == 0) << "frame " << i;
}

TEST_F(VideoWriterTest, ConcatenatedSegmentsPlay) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
  write_pattern(writer, 45);
  const fs::path whole = folder_.path() / "whole.mp4";
  concatenate(segment_files(writer), whole);
  const Video video = read_whole_video(whole);
  ASSERT_EQ(video.frames.size(), 45u);
  for (size_t i = 1; i < video.frames.size(); ++i) {
    EXPECT_DOUBLE_EQ(video.frames[i].seconds - video.frames[i - 1].seconds, 1.0 / 16) << "frame " << i;
  }
  EXPECT_GT(psnr(read_video(whole), pattern_frames(0, 45, 128, 80)), 38);
}

TEST_F(VideoWriterTest, SegmentFollowedFromTheMiddlePlays) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
  write_pattern(writer, 45);
  const fs::path part = folder_.path() / "part.mp4";
  concatenate({writer.init_segment(), writer.segments()[2].file}, part);
  EXPECT_GT(psnr(read_video(part), pattern_frames(21, 12, 128, 80)), 38);
}

TEST_F(VideoWriterTest, BytesAreTheSameRunAfterRun) {
  const fs::path again = folder_.path() / "again.mp4";
  VideoWriter first(video_, small_format(), ExistingVideo::kRefuse);
  VideoWriter second(again, small_format(), ExistingVideo::kRefuse);
  write_pattern(first, 33);
  write_pattern(second, 33);
  ASSERT_EQ(segment_files(first).size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(file_bytes(segment_files(first)[i]), file_bytes(segment_files(second)[i]));
  first.join({{"seed", "7"}});
  second.join({{"seed", "7"}});
  EXPECT_EQ(file_bytes(video_), file_bytes(again));
}

/// Past bug: with AVX-512, x264 gave the same frames other bytes while other threads were at work.
TEST_F(VideoWriterTest, BytesAreTheSameBesideOtherEncoders) {
  const VideoFormat format = {.width = 96, .height = 96, .encoder = {.threads = 1}};
  const at::Tensor noise = at::randint(256, {12, 96, 96, 3}, at::kByte);
  std::vector<std::set<std::string>> versions(4);
  std::vector<std::thread> busy;
  for (std::set<std::string>& mine : versions) {
    busy.emplace_back([&] {
      for (int i = 0; i < 12; ++i) mine.insert(encode_segment(format, noise, 0).fragment);
    });
  }
  for (std::thread& thread : busy) thread.join();
  for (const std::set<std::string>& mine : versions) EXPECT_EQ(mine, versions.front());
  EXPECT_EQ(versions.front().size(), 1u);
}

TEST_F(VideoWriterTest, FloatAndByteFramesAreTheSame) {
  const fs::path again = folder_.path() / "again.mp4";
  const at::Tensor frames = pattern_frames(0, 3, 128, 80);
  VideoWriter floats(video_, small_format(), ExistingVideo::kRefuse);
  VideoWriter bytes(again, small_format(), ExistingVideo::kRefuse);
  EXPECT_EQ(file_bytes(floats.write(frames).file), file_bytes(bytes.write(to_rgb24(frames)).file));
}

TEST_F(VideoWriterTest, FrameLimitCutsTheLastBlock) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse, 16);
  EXPECT_EQ(writer.write(pattern_frames(0, 9, 128, 80)).frames, 9);
  EXPECT_EQ(writer.write(pattern_frames(9, 12, 128, 80)).frames, 7);
  EXPECT_EQ(writer.write(pattern_frames(21, 12, 128, 80)).frames, 0);
  EXPECT_EQ(writer.segments().size(), 2u);
  writer.join({});
  const Video video = read_whole_video(video_);
  EXPECT_EQ(video.frames.size(), 16u);
  expect_even_times(video, 16);
}

TEST_F(VideoWriterTest, OneFrameAndOtherFrameRates) {
  for (const int64_t fps : {1, 24, 60}) {
    VideoFormat format = small_format();
    format.fps = fps;
    VideoWriter writer(video_, format, ExistingVideo::kReplace);
    writer.write(pattern_frames(0, 1, 128, 80));
    writer.write(pattern_frames(1, 12, 128, 80));
    writer.join({});
    const Video video = read_whole_video(video_);
    ASSERT_EQ(video.frames.size(), 13u);
    expect_even_times(video, fps);
    EXPECT_DOUBLE_EQ(video.info.fps, static_cast<double>(fps));
    writer.remove_parts();
  }
}

TEST_F(VideoWriterTest, PartsGoWhenAsked) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
  write_pattern(writer, 9);
  EXPECT_TRUE(fs::exists(parts_folder(video_)));
  writer.join({});
  writer.remove_parts();
  EXPECT_FALSE(fs::exists(parts_folder(video_)));
  EXPECT_TRUE(fs::exists(video_));
}

TEST_F(VideoWriterTest, ResumedVideoEqualsAnUninterruptedOne) {
  const fs::path straight = folder_.path() / "straight.mp4";
  VideoWriter reference(straight, small_format(), ExistingVideo::kRefuse);
  write_pattern(reference, 45);
  reference.join({});
  { write_pattern(*std::make_unique<VideoWriter>(video_, small_format(), ExistingVideo::kRefuse), 21); }
  std::ofstream(parts_folder(video_) / "000002.m4s.part") << "torn";
  VideoWriter resumed(video_, small_format(), ExistingVideo::kResume);
  ASSERT_EQ(resumed.segments().size(), 2u);
  EXPECT_EQ(resumed.segments()[1].first_frame, 9);
  EXPECT_EQ(resumed.segments()[1].frames, 12);
  EXPECT_EQ(resumed.frames(), 21);
  EXPECT_FALSE(fs::exists(parts_folder(video_) / "000002.m4s.part"));
  write_pattern(resumed, 45);
  resumed.join({});
  EXPECT_EQ(file_bytes(video_), file_bytes(straight));
}

/// Changes one byte in the middle of a file.
void flip_byte(const fs::path& file) {
  std::string bytes = file_bytes(file);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(file, std::ios::binary) << bytes;
}

TEST_F(VideoWriterTest, ResumeStopsBeforeADamagedSegment) {
  const fs::path parts = parts_folder(video_);
  const std::vector<std::function<void()>> damages = {
      [&] { fs::resize_file(parts / "000001.m4s", 100); },
      [&] { fs::remove(parts / "000001.m4s"); },
      [&] { flip_byte(parts / "000001.m4s"); },
      [&] { fs::resize_file(parts / "000001.safetensors", 100); },
      [&] { fs::resize_file(parts / "000001.safetensors", 0); },
      [&] { fs::remove(parts / "000001.safetensors"); },
      [&] { flip_byte(parts / "000001.safetensors"); },
      [&] {
        fs::copy_file(parts / "000002.m4s", parts / "000001.m4s", fs::copy_options::overwrite_existing);
        fs::copy_file(parts / "000002.safetensors", parts / "000001.safetensors", fs::copy_options::overwrite_existing);
      }};
  for (size_t i = 0; i < damages.size(); ++i) {
    write_pattern(*std::make_unique<VideoWriter>(video_, small_format(), ExistingVideo::kReplace), 45);
    ASSERT_EQ(VideoWriter(video_, small_format(), ExistingVideo::kResume).segments().size(), 4u);
    damages[i]();
    VideoWriter resumed(video_, small_format(), ExistingVideo::kResume);
    EXPECT_EQ(resumed.segments().size(), 1u) << "damage " << i;
    EXPECT_FALSE(fs::exists(parts / "000003.m4s"));
    EXPECT_FALSE(fs::exists(parts / "000003.safetensors"));
  }
}

TEST_F(VideoWriterTest, InitSegmentThatIsGoneIsMadeAgain) {
  std::string init;
  {
    VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
    write_pattern(writer, 21);
    init = file_bytes(writer.init_segment());
    fs::resize_file(writer.init_segment(), 10);
  }
  VideoWriter resumed(video_, small_format(), ExistingVideo::kResume);
  EXPECT_EQ(resumed.frames(), 21);
  EXPECT_EQ(file_bytes(resumed.init_segment()), init);
}

TEST_F(VideoWriterTest, NotesComeBack) {
  const at::Tensor latents = pattern_frames(0, 2, 4, 4);
  {
    VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
    writer.write(pattern_frames(0, 9, 128, 80), {{{"latents", latents}}, {{"video", "abc"}}});
  }
  VideoWriter resumed(video_, small_format(), ExistingVideo::kResume);
  ASSERT_EQ(resumed.segments().size(), 1u);
  const SegmentNote note = resumed.note(0);
  EXPECT_TRUE(note.tensors.at("latents").equal(latents));
  EXPECT_EQ(note.texts.at("video"), "abc");
}

TEST_F(VideoWriterTest, FolderHalfDeletedIsNoUnfinishedVideo) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
  write_pattern(writer, 9);
  EXPECT_EQ(video_state(video_), VideoState::kUnfinished);
  writer.join({});
  const fs::path leftovers = fs::path(video_).replace_extension(".parts-done");
  fs::create_directory(leftovers);  // as a run that was killed while it deleted another video's folder leaves it
  std::ofstream(leftovers / "000001.m4s") << "left";
  writer.remove_parts();
  EXPECT_EQ(video_state(video_), VideoState::kComplete);
  EXPECT_FALSE(fs::exists(leftovers));
}

TEST_F(VideoWriterTest, KeptSegmentsAreContinued) {
  VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
  write_pattern(writer, 45);
  writer.keep_segments(1);
  EXPECT_EQ(writer.frames(), 9);
  EXPECT_FALSE(fs::exists(parts_folder(video_) / "000001.m4s"));
  write_pattern(writer, 21);
  writer.join({});
  EXPECT_EQ(read_whole_video(video_).frames.size(), 21u);
}

TEST_F(VideoWriterTest, ResumeWithAnotherFormatIsRefused) {
  { write_pattern(*std::make_unique<VideoWriter>(video_, small_format(), ExistingVideo::kRefuse), 9); }
  VideoFormat other = small_format();
  other.fps = 24;
  EXPECT_THROW(VideoWriter(video_, other, ExistingVideo::kResume), ConfigError);
}

TEST_F(VideoWriterTest, ExistingWorkIsLeftAlone) {
  {
    VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
    write_pattern(writer, 9);
    EXPECT_THAT(error_text<Error>([&] { VideoWriter(video_, small_format(), ExistingVideo::kResume); }),
                HasSubstr("in use"));
  }
  EXPECT_EQ(error_line_of([&] { check_video_can_be_written(video_, ExistingVideo::kRefuse); }),
            (folder_.path() / "a video: 100%.parts").string() +
                " holds an unfinished video: continue it with resume: true, choose another name with output, or start "
                "over with overwrite: true");
  {
    VideoWriter writer(video_, small_format(), ExistingVideo::kResume);
    writer.join({});
    writer.remove_parts();
  }
  const std::string before = file_bytes(video_);
  EXPECT_THAT(error_text<Error>([&] { VideoWriter(video_, small_format(), ExistingVideo::kRefuse); }),
              HasSubstr("exists"));
  EXPECT_THAT(error_text<Error>([&] { VideoWriter(video_, small_format(), ExistingVideo::kResume); }),
              HasSubstr("complete"));
  VideoWriter writer(video_, small_format(), ExistingVideo::kReplace);
  EXPECT_EQ(file_bytes(video_), before) << "the old video must stay until the new one is complete";
  write_pattern(writer, 21);
  writer.join({});
  EXPECT_EQ(read_whole_video(video_).frames.size(), 21u);
}

TEST_F(VideoWriterTest, PlacesThatCannotBeWrittenAreNamed) {
  EXPECT_THAT(error_text<Error>([&] { check_video_can_be_written("video.avi", ExistingVideo::kRefuse); }),
              HasSubstr(".mp4"));
  const fs::path nowhere = folder_.path() / "nowhere" / "x.mp4";
  EXPECT_THAT(error_text<Error>([&] { check_video_can_be_written(nowhere, ExistingVideo::kRefuse); }),
              HasSubstr("no such"));
  EXPECT_THAT(error_text<Error>([&] { check_video_can_be_written(video_, ExistingVideo::kRefuse, int64_t{1} << 60); }),
              HasSubstr("MiB free"));
  EXPECT_THROW(VideoWriter("/proc/x.mp4", small_format(), ExistingVideo::kRefuse), MediaError);
  EXPECT_THROW(check_video_can_be_written("/dev/null/x.mp4", ExistingVideo::kRefuse), MediaError);
}

TEST_F(VideoWriterTest, ImpossibleFormatsAreNamed) {
  const auto refusal = [&](const std::function<void(VideoFormat&)>& change) {
    VideoFormat format = small_format();
    change(format);
    return error_text<Error>([&] { VideoWriter(video_, format, ExistingVideo::kRefuse); });
  };
  EXPECT_THAT(refusal([](VideoFormat& f) { f.width = 127; }), HasSubstr("127x80"));
  EXPECT_THAT(refusal([](VideoFormat& f) { f.fps = 0; }), HasSubstr("fps is 0"));
  EXPECT_THAT(refusal([](VideoFormat& f) { f.encoder.preset = "quick"; }), HasSubstr("'quick'"));
  EXPECT_THAT(refusal([](VideoFormat& f) { f.encoder.crf = 52; }), HasSubstr("52"));
  EXPECT_THAT(refusal([](VideoFormat& f) { f.encoder.threads = 0; }), HasSubstr("threads"));
  EXPECT_FALSE(fs::exists(parts_folder(video_)));
}

/// Runs `action` in a child process; returns how it ended, as waitpid says. Status 0: it returned.
int in_child(const std::function<void()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      action();
      ::_exit(0);
    } catch (const MediaError& error) {
      ::_exit(std::string(error.what()).find("its segments are kept") != std::string::npos ? 5 : 6);
    } catch (...) {
      ::_exit(1);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

/// As on a full disk: every file of this process ends after `bytes`.
void limit_files(rlim_t bytes) {
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

TEST_F(VideoWriterTest, FullDiskWhileWritingKeepsTheWholeSegments) {
  const int status = in_child([&] {
    VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
    write_pattern(writer, 21);
    limit_files(500);
    write_pattern(writer, 45);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_GE(WEXITSTATUS(status), 5) << "no MediaError";
  EXPECT_FALSE(fs::exists(video_));
  EXPECT_FALSE(fs::exists(parts_folder(video_) / "000002.m4s"));
  EXPECT_FALSE(fs::exists(parts_folder(video_) / "000002.m4s.part"));
  EXPECT_EQ(VideoWriter(video_, small_format(), ExistingVideo::kResume).frames(), 21);
}

TEST_F(VideoWriterTest, FullDiskWhileJoiningLeavesNoVideo) {
  const int status = in_child([&] {
    VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
    write_pattern(writer, 45);
    limit_files(3000);
    writer.join({});
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 5) << "no MediaError that says what to do";
  EXPECT_FALSE(fs::exists(video_));
  EXPECT_FALSE(fs::exists(video_.string() + ".part"));
  VideoWriter resumed(video_, small_format(), ExistingVideo::kResume);
  resumed.join({});
  EXPECT_EQ(read_whole_video(video_).frames.size(), 45u);
}

TEST_F(VideoWriterTest, KilledWriterLeavesOnlyWholeSegments) {
  for (const int delay_ms : {20, 60, 110}) {
    fs::remove_all(parts_folder(video_));
    const pid_t child = ::fork();
    if (child == 0) {
      const at::Tensor frames = pattern_frames(0, 12, 128, 80);
      VideoWriter writer(video_, small_format(), ExistingVideo::kRefuse);
      for (;;) writer.write(frames);
    }
    while (!fs::exists(parts_folder(video_) / "000000.m4s")) ::usleep(1000);
    ::usleep(static_cast<useconds_t>(delay_ms) * 1000);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::vector<fs::path> files = {parts_folder(video_) / "init.mp4"};
    for (const fs::directory_entry& entry : fs::directory_iterator(parts_folder(video_))) {
      if (entry.path().extension() == ".m4s") files.push_back(entry.path());
    }
    std::sort(files.begin() + 1, files.end());
    const fs::path whole = folder_.path() / "whole.mp4";
    concatenate(files, whole);
    EXPECT_EQ(read_whole_video(whole).frames.size(), 12 * (files.size() - 1));
    VideoWriter resumed(video_, small_format(), ExistingVideo::kResume);
    EXPECT_EQ(resumed.segments().size(), files.size() - 1);
    EXPECT_FALSE(fs::exists(video_));
  }
}

TEST_F(VideoWriterTest, FfmpegHasNoComplaint) {
  const fs::path video = folder_.path() / "video.mp4";
  const fs::path whole = folder_.path() / "whole.mp4";
  VideoWriter writer(video, small_format(), ExistingVideo::kRefuse);
  write_pattern(writer, 45);
  writer.join({{"prompt", "x"}});
  concatenate(segment_files(writer), whole);
  if (run_quiet("true") == -1) GTEST_SKIP() << "ffmpeg is not installed";
  EXPECT_EQ(run_quiet("ffmpeg -nostdin -v warning -xerror -i " + video.string() + " -f null -"), 0);
  EXPECT_EQ(run_quiet("ffmpeg -nostdin -v warning -xerror -i " + whole.string() + " -f null -"), 0);
  EXPECT_EQ(run_quiet("ffprobe -v error -show_entries stream=start_time,duration -of csv=p=0 '" + video.string() +
                      "' | grep -vx 0.000000,2.812500"),
            0);
}

}  // namespace
}  // namespace flashblock
