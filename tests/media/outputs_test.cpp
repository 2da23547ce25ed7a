// Containers, codecs and pixel formats other than H.264 in MP4: read back by libav, and by ffmpeg and ffprobe where
// they are installed.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/linspace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <tuple>

#include "core/error.h"
#include "media/audio_track.h"
#include "media/frame_conversion.h"
#include "media/image_reader.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "tests/media/test_video.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// What a command prints on both of its outputs.
std::string printed(const std::string& command, const fs::path& folder) {
  const fs::path file = folder / "printed";
  const std::string run = "unset LD_LIBRARY_PATH; { " + command + "; } >" + file.string() + " 2>&1 </dev/null";
  if (std::system(run.c_str()) != 0) return "failed: " + file_bytes(file);
  return file_bytes(file);
}

VideoFormat format_of(Container container, const std::string& codec = "", const std::string& pixel_format = "") {
  VideoFormat format = small_format();
  format.encoding = resolve_encoding(container, codec, pixel_format);
  return format;
}

/// One row of the table of outputs (docs/outputs.md).
struct Output {
  const char* name;
  const char* ending;
  const char* codec;  ///< asked for; empty: by the ending
  const char* pixel_format;
  const char* found_codec;
  const char* found_pixel_format;
  const char* tag;  ///< four letters in MP4 and MOV
  double quality;   ///< PSNR in dB, at least
};

void PrintTo(const Output& output, std::ostream* out) { *out << output.name; }

class Outputs : public ::testing::TestWithParam<Output> {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }

  VideoFormat format() const { return format_of(container_of(video_), GetParam().codec, GetParam().pixel_format); }

  TemporaryFolder folder_;
  fs::path video_ = folder_.path() / (std::string("video") + GetParam().ending);
};

TEST_P(Outputs, HasItsCodecTagsTimesAndFrames) {
  VideoWriter writer(video_, format(), ExistingVideo::kRefuse, 20);
  write_pattern(writer, 20);
  writer.join({{"seed", "7"}});
  VideoReader reader(video_);
  const VideoInfo info = reader.info();
  EXPECT_EQ(info.codec, GetParam().found_codec);
  EXPECT_EQ(info.pixel_format, GetParam().found_pixel_format);
  EXPECT_EQ(info.color_matrix, "bt709");
  EXPECT_EQ(info.color_primaries, "bt709");
  EXPECT_EQ(info.color_transfer, "bt709");
  EXPECT_EQ(info.color_range, "tv");
  EXPECT_DOUBLE_EQ(info.fps, 16);
  EXPECT_EQ(info.start_seconds, 0);
  const auto seed = info.metadata.find(info.metadata.contains("SEED") ? "SEED" : "seed");  // Matroska: upper case
  ASSERT_NE(seed, info.metadata.end());
  EXPECT_EQ(seed->second, "7");
  const at::Tensor expected = pattern_frames(0, 20, 128, 80);
  VideoFrame frame;
  int64_t count = 0;
  for (; reader.next(frame); ++count) {
    EXPECT_NEAR(frame.seconds, static_cast<double>(count) / 16, 0.0006) << "Matroska counts milliseconds";
    EXPECT_GT(psnr(from_rgb24(frame.rgb.unsqueeze(0))[0], expected[count]), GetParam().quality) << "frame " << count;
  }
  EXPECT_EQ(count, 20);
  if (!has_ffmpeg()) GTEST_SKIP() << "ffmpeg and ffprobe are not installed";
  EXPECT_EQ(printed("ffmpeg -v warning -i " + video_.string() + " -f null -", folder_.path()), "");
  const std::string fields = "stream=codec_name,codec_tag_string,nb_read_frames,duration:format=duration";
  const std::string found =
      printed("ffprobe -v error -count_frames -show_entries " + fields + " -of default=nw=1 " + video_.string(),
              folder_.path());
  EXPECT_THAT(found, AllOf(HasSubstr("nb_read_frames=20\n"), HasSubstr("duration=1.25")));
  EXPECT_THAT(found, HasSubstr(std::string("codec_tag_string=") + GetParam().tag)) << "Matroska has none";
}

TEST_P(Outputs, ResumesBitForBit) {
  VideoWriter whole(video_, format(), ExistingVideo::kRefuse, 20);
  write_pattern(whole, 20);
  whole.join({});
  const fs::path other = folder_.path() / (std::string("other") + GetParam().ending);
  {
    VideoWriter first(other, format(), ExistingVideo::kRefuse, 20);
    write_pattern(first, 9);
  }
  VideoWriter second(other, format(), ExistingVideo::kResume, 20);
  ASSERT_EQ(second.frames(), 9);
  write_pattern(second, 20);
  second.join({});
  EXPECT_EQ(file_bytes(other), file_bytes(video_));
}

TEST_P(Outputs, SegmentsPlayWhenConcatenated) {
  VideoWriter writer(video_, format(), ExistingVideo::kRefuse, 20);
  write_pattern(writer, 20);
  std::vector<fs::path> files = {writer.init_segment()};
  for (const Segment& segment : writer.segments()) files.push_back(segment.file);
  const fs::path whole = folder_.path() / "whole.mp4";
  concatenate(files, whole);
  EXPECT_EQ(read_video(whole).size(0), 20);
}

INSTANTIATE_TEST_SUITE_P(
    All, Outputs,
    ::testing::Values(Output{"H264TenBits", ".mp4", "", "yuv420p10le", "h264", "yuv420p10le", "avc1", 38},
                      Output{"H264FullChroma", ".mp4", "h264", "yuv444p", "h264", "yuv444p", "avc1", 40},
                      Output{"Hevc", ".mp4", "hevc", "", "hevc", "yuv420p", "hvc1", 36},
                      Output{"HevcTenBits", ".mp4", "hevc", "yuv422p10le", "hevc", "yuv422p10le", "hvc1", 37},
                      Output{"Av1", ".mp4", "av1", "", "av1", "yuv420p", "av01", 36},
                      Output{"Av1TenBits", ".mp4", "av1", "yuv420p10le", "av1", "yuv420p10le", "av01", 36},
                      Output{"Matroska", ".mkv", "", "", "h264", "yuv420p", "", 36},
                      Output{"MatroskaHevc", ".mkv", "hevc", "yuv420p10le", "hevc", "yuv420p10le", "", 36},
                      Output{"Ffv1", ".mkv", "ffv1", "", "ffv1", "yuv444p", "", 48},
                      Output{"Ffv1TenBits", ".mkv", "ffv1", "yuv422p10le", "ffv1", "yuv422p10le", "", 42},
                      Output{"Prores", ".mov", "", "", "prores", "yuv422p10le", "apch", 38}),
    [](const auto& test) { return std::string(test.param.name); });

/// A grey ramp over the whole width: [1, 3, 16, 512].
at::Tensor ramp() { return at::linspace(0, 1, 512, at::kFloat).view({1, 1, 1, 512}).expand({1, 3, 16, 512}).clone(); }

/// The luma levels of a video's first row.
std::vector<int> luma_row(const fs::path& video, const std::string& pixel_format, const fs::path& folder) {
  const fs::path raw = folder / "raw.yuv";
  EXPECT_EQ(
      printed("ffmpeg -v error -y -i " + video.string() + " -f rawvideo -pix_fmt " + pixel_format + " " + raw.string(),
              folder),
      "");
  const std::string bytes = file_bytes(raw);
  const bool deep = pixel_format.find("10") != std::string::npos;
  std::vector<int> levels;
  for (size_t i = 0; i < 512; ++i) {
    const auto byte = [&](size_t at) { return static_cast<int>(static_cast<unsigned char>(bytes.at(at))); };
    levels.push_back(deep ? byte(2 * i) + 256 * byte(2 * i + 1) : byte(i));
  }
  return levels;
}

class Levels : public ::testing::Test {
 protected:
  std::vector<int> levels(const char* ending, const char* codec, const char* pixel_format) {
    const fs::path video = folder_.path() / (std::string(codec) + pixel_format + ending);
    VideoFormat format = format_of(container_of(video), codec, pixel_format);
    format.width = 512, format.height = 16;
    VideoWriter writer(video, format, ExistingVideo::kRefuse);
    writer.write(ramp());
    writer.join({});
    return luma_row(video, pixel_format, folder_.path());
  }
  TemporaryFolder folder_;
};

// Limited range, ITU-R BT.709, 3.5 and BT.2100: Y' = (219 E + 16) * 2^(n - 8).
TEST_F(Levels, TenBitsComeFromTheFloats) {
  if (!has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not installed";
  const std::vector<int> found = levels(".mkv", "ffv1", "yuv420p10le");
  int exact = 0;
  for (int i = 0; i < 512; ++i) {
    const int wanted = static_cast<int>(std::lround(876.0 * i / 511 + 64));
    EXPECT_NEAR(found[static_cast<size_t>(i)], wanted, 1) << i;
    exact += found[static_cast<size_t>(i)] == wanted;
  }
  EXPECT_GT(exact, 500);
  EXPECT_EQ(std::set<int>(found.begin(), found.end()).size(), 512u) << "all columns differ";
  for (const auto& [ending, codec, pixel_format] :
       {std::tuple{".mp4", "h264", "yuv420p10le"}, std::tuple{".mp4", "hevc", "yuv420p10le"},
        std::tuple{".mov", "prores", "yuv422p10le"}}) {
    const std::vector<int> lossy = levels(ending, codec, pixel_format);
    EXPECT_GT(std::set<int>(lossy.begin(), lossy.end()).size(), 256u) << codec;
  }
}

TEST_F(Levels, EightBitsWithFullChromaAreRoundedOnce) {
  if (!has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not installed";
  const std::vector<int> found = levels(".mkv", "ffv1", "yuv444p");
  int exact = 0, twice = 0;
  for (int i = 0; i < 512; ++i) {
    const double value = i / 511.0;
    const auto wanted = std::lround(219 * value + 16);
    const auto rounded_twice = std::lround(219 * std::round(255 * value) / 255 + 16);
    exact += found[static_cast<size_t>(i)] == wanted;
    twice += found[static_cast<size_t>(i)] == rounded_twice;
  }
  EXPECT_GT(exact, 505);
  EXPECT_LT(twice, 480) << "there is a step of 8 bits before";
}

TEST(ImageSequence, HoldsTheFramesExactly) {
  const TemporaryFolder folder;
  const fs::path pattern = folder.path() / "frames of it/%06d.png";
  VideoWriter writer(pattern, format_of(Container::kImages), ExistingVideo::kRefuse, 14);
  write_pattern(writer, 14);
  EXPECT_EQ(parts_folder(pattern), folder.path() / "frames of it/frames.parts");
  EXPECT_EQ(video_state(pattern), VideoState::kUnfinished);
  writer.join({});
  writer.remove_parts();
  EXPECT_EQ(video_state(pattern), VideoState::kComplete);
  const at::Tensor expected = to_rgb24(pattern_frames(0, 14, 128, 80));
  for (int i = 0; i < 14; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "%06d.png", i + 1);
    const at::Tensor image = to_rgb24(read_image(pattern.parent_path() / name, 128, 80).unsqueeze(0));
    EXPECT_TRUE(image[0].equal(expected[i])) << name;
  }
  EXPECT_FALSE(fs::exists(pattern.parent_path() / "000015.png"));
  EXPECT_THAT(error_text<ConfigError>([&] { check_video_can_be_written(pattern, ExistingVideo::kRefuse); }),
              HasSubstr("000001.png exists"));
  VideoWriter shorter(pattern, format_of(Container::kImages), ExistingVideo::kReplace, 5);
  write_pattern(shorter, 5);
  shorter.join({}, {}, 14);
  EXPECT_TRUE(fs::exists(pattern.parent_path() / "000005.png"));
  EXPECT_FALSE(fs::exists(pattern.parent_path() / "000006.png")) << "of the longer video";
}

TEST(Encoding, WhatDoesNotGoTogetherIsRefused) {
  using enum Container;
  const auto refusal = [](Container container, const char* codec, const char* pixel_format) {
    return error_text<ConfigError>([&] { resolve_encoding(container, codec, pixel_format); });
  };
  EXPECT_THAT(refusal(kMp4, "ffv1", ""), AllOf(HasSubstr("'ffv1' for .mp4"), HasSubstr("h264, hevc or av1")));
  EXPECT_THAT(refusal(kMatroska, "prores", ""), HasSubstr("h264, hevc, av1 or ffv1"));
  EXPECT_THAT(refusal(kMov, "h264", ""), HasSubstr("wanted prores"));
  EXPECT_THAT(refusal(kMp4, "vp9", ""), HasSubstr("'vp9'"));
  EXPECT_THAT(refusal(kMov, "", "yuv420p"), HasSubstr("wanted yuv422p10le"));
  EXPECT_THAT(refusal(kMp4, "", "rgb24"), HasSubstr("yuv420p, yuv420p10le, yuv422p10le or yuv444p"));
  EXPECT_THAT(refusal(kImages, "png", ""), HasSubstr("an image sequence, wanted none"));
  EXPECT_THAT(refusal(kY4mStream, "h264", ""), HasSubstr("wanted none"));
  for (const char* name : {"video", "video.avi", ".mp4", "folder/%d.png", "image.png"}) {
    EXPECT_THAT(error_text<ConfigError>([&] { container_of(name); }), HasSubstr(name));
  }
  EXPECT_EQ(resolve_encoding(kMp4, "", ""), VideoEncoding()) << "H.264, 8 bits, as ever";
}

/// A wave file: 48 kHz, mono, silent but for a tone from `start` to `end`. Times in seconds.
void write_tone(const fs::path& file, double seconds, double start, double end) {
  const auto samples = static_cast<uint32_t>(48000 * seconds);
  std::ofstream stream(file, std::ios::binary);
  const auto put = [&](uint32_t value, int bytes) { stream.write(reinterpret_cast<const char*>(&value), bytes); };
  stream << "RIFF";
  put(36 + 2 * samples, 4);
  stream << "WAVEfmt ";
  put(16, 4), put(1, 2), put(1, 2), put(48000, 4), put(96000, 4), put(2, 2), put(16, 2);
  stream << "data";
  put(2 * samples, 4);
  for (uint32_t i = 0; i < samples; ++i) {
    const double time = i / 48000.0;
    const bool loud = time >= start && time < end;
    put(loud ? static_cast<uint32_t>(static_cast<uint16_t>(static_cast<int16_t>(12000 * std::sin(2764.6 * time)))) : 0,
        2);
  }
}

struct Sound {
  const char* ending;
  const char* codec;
  const char* sound;
};

class Audio : public ::testing::TestWithParam<Sound> {};

TEST_P(Audio, IsCutAndPaddedAndInTime) {
  if (!has_ffmpeg()) GTEST_SKIP() << "ffmpeg and ffprobe are not installed";
  const TemporaryFolder folder;
  for (const double length : {0.8, 5.0}) {  // of the sound; the video has 1.25 s
    const fs::path tone = folder.path() / "tone.wav", raw = folder.path() / "raw.pcm";
    const fs::path video = folder.path() / (std::to_string(length) + GetParam().ending);
    write_tone(tone, length, 0.5, 0.75);
    VideoWriter writer(video, format_of(container_of(video), GetParam().codec), ExistingVideo::kRefuse, 20);
    write_pattern(writer, 20);
    writer.join({}, tone);
    EXPECT_EQ(read_video(video).size(0), 20);
    EXPECT_EQ(printed("ffmpeg -v warning -y -i " + video.string() + " -ac 1 -f s16le " + raw.string(), folder.path()),
              "");
    const std::string bytes = file_bytes(raw);
    std::vector<size_t> loud;
    for (size_t i = 0; 2 * i + 1 < bytes.size(); ++i) {
      const auto low = static_cast<unsigned char>(bytes[2 * i]);
      const int level = static_cast<signed char>(bytes[2 * i + 1]) * 256 + low;
      if (std::abs(level) > 3000) loud.push_back(i);
    }
    ASSERT_FALSE(loud.empty());
    EXPECT_NEAR(static_cast<double>(loud.front()) / 48000, 0.5, 0.005);
    EXPECT_NEAR(static_cast<double>(loud.back()) / 48000, 0.75, 0.005);
    EXPECT_NEAR(static_cast<double>(bytes.size()) / 96000, 1.25, 0.025) << "cut or padded to the video";
    const std::string found =
        printed("ffprobe -v error -show_entries stream=codec_name,start_time -of default=nw=1 " + video.string(),
                folder.path());
    EXPECT_THAT(found, AllOf(HasSubstr(std::string("codec_name=") + GetParam().sound + "\nstart_time=0.000000"),
                             HasSubstr("start_time=0.000000")));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Audio,
                         ::testing::Values(Sound{".mp4", "h264", "aac"}, Sound{".mkv", "h264", "aac"},
                                           Sound{".mkv", "ffv1", "flac"}, Sound{".mov", "prores", "pcm_s16le"}),
                         [](const auto& test) {
                           return std::string(test.param.ending).substr(1) + "_" + test.param.codec;
                         });

TEST(AudioFile, WithoutSoundIsRefused) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "text.wav") << "no sound";
  EXPECT_THAT(error_text<MediaError>([&] { check_audio_file(folder.path() / "text.wav"); }), HasSubstr("text.wav"));
  EXPECT_THAT(error_text<MediaError>([&] { check_audio_file(folder.path() / "none.wav"); }), HasSubstr("none.wav"));
}

}  // namespace
}  // namespace flashblock::testing
