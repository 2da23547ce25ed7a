#include "media/film_writer.h"

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
#include "media/piece_encoder.h"
#include "media/video_reader.h"
#include "tests/media/test_film.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::concatenate;
using testing::error_text;
using testing::file_bytes;
using ::testing::HasSubstr;
using testing::pattern_frames;
using testing::psnr;
using testing::small_format;
using testing::write_pattern;

/// All pictures of a file, with their times.
struct Film {
  VideoInfo info;
  std::vector<VideoFrame> frames;
};

Film read_film(const fs::path& file) {
  VideoReader reader(file);
  Film film{reader.info(), {}};
  VideoFrame frame;
  while (reader.next(frame)) film.frames.push_back(frame);
  return film;
}

void expect_even_times(const Film& film, int64_t fps) {
  for (size_t i = 0; i < film.frames.size(); ++i) {
    EXPECT_DOUBLE_EQ(film.frames[i].seconds, static_cast<double>(i) / static_cast<double>(fps)) << "frame " << i;
  }
}

/// 0 if a command of the FFmpeg that is installed here prints nothing; -1 if there is none.
int run_quiet(const std::string& command) {
  if (std::system("command -v ffmpeg >/dev/null 2>&1 && command -v ffprobe >/dev/null 2>&1") != 0) return -1;
  return std::system(("unset LD_LIBRARY_PATH; test -z \"$(" + command + " 2>&1)\"").c_str());
}

class FilmWriterTest : public ::testing::Test {
 protected:
  // Some tests fork; a child cannot use the thread pool of its parent, so there must be none.
  static void SetUpTestSuite() { at::set_num_threads(1); }

  std::vector<fs::path> piece_files(const FilmWriter& writer) {
    std::vector<fs::path> files = {writer.init_segment()};
    for (const FilmPiece& piece : writer.pieces()) files.push_back(piece.file);
    return files;
  }

  testing::TemporaryFolder folder_;
  fs::path film_ = folder_.path() / "a film: 100%.mp4";
};

TEST_F(FilmWriterTest, FilmHasExactFramesTimesTagsAndMetadata) {
  FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
  write_pattern(writer, 45);
  writer.join({{"prompt", "a red balloon, ünïcode\nsecond line"}, {"seed", "18446744073709551615"}});
  const Film film = read_film(film_);
  ASSERT_EQ(film.frames.size(), 45u);
  expect_even_times(film, 16);
  EXPECT_EQ(film.info.width, 128);
  EXPECT_EQ(film.info.height, 80);
  EXPECT_DOUBLE_EQ(film.info.fps, 16);
  EXPECT_EQ(film.info.start_seconds, 0);
  EXPECT_EQ(film.info.codec, "h264");
  EXPECT_EQ(film.info.pixel_format, "yuv420p");
  EXPECT_EQ(film.info.color_range, "tv");
  EXPECT_EQ(film.info.color_matrix, "bt709");
  EXPECT_EQ(film.info.color_primaries, "bt709");
  EXPECT_EQ(film.info.color_transfer, "bt709");
  EXPECT_EQ(film.info.metadata.at("prompt"), "a red balloon, ünïcode\nsecond line");
  EXPECT_EQ(film.info.metadata.at("seed"), "18446744073709551615");
  const std::string bytes = file_bytes(film_);
  EXPECT_EQ(bytes.find("elst"), std::string::npos) << "an edit list";
  EXPECT_LT(bytes.find("moov"), bytes.find("mdat")) << "the index is not in front";
  EXPECT_FALSE(fs::exists(film_.string() + ".part"));
}

TEST_F(FilmWriterTest, PicturesComeBackAsWritten) {
  FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
  write_pattern(writer, 33);
  writer.join({});
  const at::Tensor expected = pattern_frames(0, 33, 128, 80);
  const at::Tensor found = read_video(film_);
  ASSERT_EQ(found.sizes(), expected.sizes());
  EXPECT_GT(psnr(found, expected), 38);
  EXPECT_LT((found - expected).mean().abs().item<double>(), 0.002) << "brightness moved: a wrong range or rounding";
  for (int64_t i = 0; i < 33; ++i) EXPECT_GT(psnr(found[i], expected[i]), 36) << "frame " << i;
}

TEST_F(FilmWriterTest, EveryPieceBeginsWithItsOnlyKeyFrame) {
  FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
  for (int block = 0; block < 3; ++block) {  // scene cuts inside the blocks, which must not make key frames
    at::Tensor frames = pattern_frames(0, 12, 128, 80).clone();
    frames.slice(0, 5) = 1 - frames.slice(0, 5);
    writer.write(frames);
  }
  writer.join({});
  const Film film = read_film(film_);
  for (size_t i = 0; i < film.frames.size(); ++i) EXPECT_EQ(film.frames[i].key_frame, i % 12 == 0) << "frame " << i;
}

TEST_F(FilmWriterTest, ConcatenatedPiecesPlay) {
  FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
  write_pattern(writer, 45);
  const fs::path whole = folder_.path() / "whole.mp4";
  concatenate(piece_files(writer), whole);
  const Film film = read_film(whole);
  ASSERT_EQ(film.frames.size(), 45u);
  for (size_t i = 1; i < film.frames.size(); ++i) {
    EXPECT_DOUBLE_EQ(film.frames[i].seconds - film.frames[i - 1].seconds, 1.0 / 16) << "frame " << i;
  }
  EXPECT_GT(psnr(read_video(whole), pattern_frames(0, 45, 128, 80)), 38);
}

TEST_F(FilmWriterTest, PieceFollowedFromTheMiddlePlays) {
  FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
  write_pattern(writer, 45);
  const fs::path part = folder_.path() / "part.mp4";
  concatenate({writer.init_segment(), writer.pieces()[2].file}, part);
  EXPECT_GT(psnr(read_video(part), pattern_frames(21, 12, 128, 80)), 38);
}

TEST_F(FilmWriterTest, BytesAreTheSameRunAfterRun) {
  const fs::path again = folder_.path() / "again.mp4";
  FilmWriter first(film_, small_format(), ExistingFilm::kRefuse);
  FilmWriter second(again, small_format(), ExistingFilm::kRefuse);
  write_pattern(first, 33);
  write_pattern(second, 33);
  ASSERT_EQ(piece_files(first).size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(file_bytes(piece_files(first)[i]), file_bytes(piece_files(second)[i]));
  first.join({{"seed", "7"}});
  second.join({{"seed", "7"}});
  EXPECT_EQ(file_bytes(film_), file_bytes(again));
}

/// Past bug: with AVX-512, x264 gave the same pictures other bytes while other threads were at work.
TEST_F(FilmWriterTest, BytesAreTheSameBesideOtherEncoders) {
  const FilmFormat format = {.width = 96, .height = 96, .encoder = {.threads = 1}};
  const at::Tensor noise = at::randint(256, {12, 96, 96, 3}, at::kByte);
  std::vector<std::set<std::string>> versions(4);
  std::vector<std::thread> busy;
  for (std::set<std::string>& mine : versions) {
    busy.emplace_back([&] {
      for (int i = 0; i < 12; ++i) mine.insert(encode_piece(format, noise, 0).fragment);
    });
  }
  for (std::thread& thread : busy) thread.join();
  for (const std::set<std::string>& mine : versions) EXPECT_EQ(mine, versions.front());
  EXPECT_EQ(versions.front().size(), 1u);
}

TEST_F(FilmWriterTest, FloatAndBytePicturesAreTheSame) {
  const fs::path again = folder_.path() / "again.mp4";
  const at::Tensor frames = pattern_frames(0, 3, 128, 80);
  FilmWriter floats(film_, small_format(), ExistingFilm::kRefuse);
  FilmWriter bytes(again, small_format(), ExistingFilm::kRefuse);
  EXPECT_EQ(file_bytes(floats.write(frames).file), file_bytes(bytes.write(to_rgb24(frames)).file));
}

TEST_F(FilmWriterTest, FrameLimitCutsTheLastBlock) {
  FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse, 16);
  EXPECT_EQ(writer.write(pattern_frames(0, 9, 128, 80)).frames, 9);
  EXPECT_EQ(writer.write(pattern_frames(9, 12, 128, 80)).frames, 7);
  EXPECT_EQ(writer.write(pattern_frames(21, 12, 128, 80)).frames, 0);
  EXPECT_EQ(writer.pieces().size(), 2u);
  writer.join({});
  const Film film = read_film(film_);
  EXPECT_EQ(film.frames.size(), 16u);
  expect_even_times(film, 16);
}

TEST_F(FilmWriterTest, OneFrameAndOtherFrameRates) {
  for (const int64_t fps : {1, 24, 60}) {
    FilmFormat format = small_format();
    format.fps = fps;
    FilmWriter writer(film_, format, ExistingFilm::kReplace);
    writer.write(pattern_frames(0, 1, 128, 80));
    writer.write(pattern_frames(1, 12, 128, 80));
    writer.join({});
    const Film film = read_film(film_);
    ASSERT_EQ(film.frames.size(), 13u);
    expect_even_times(film, fps);
    EXPECT_DOUBLE_EQ(film.info.fps, static_cast<double>(fps));
    writer.remove_parts();
  }
}

TEST_F(FilmWriterTest, PartsGoWhenAsked) {
  FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
  write_pattern(writer, 9);
  EXPECT_TRUE(fs::exists(parts_folder(film_)));
  writer.join({});
  writer.remove_parts();
  EXPECT_FALSE(fs::exists(parts_folder(film_)));
  EXPECT_TRUE(fs::exists(film_));
}

TEST_F(FilmWriterTest, ResumedFilmEqualsAnUninterruptedOne) {
  const fs::path straight = folder_.path() / "straight.mp4";
  FilmWriter reference(straight, small_format(), ExistingFilm::kRefuse);
  write_pattern(reference, 45);
  reference.join({});
  { write_pattern(*std::make_unique<FilmWriter>(film_, small_format(), ExistingFilm::kRefuse), 21); }
  std::ofstream(parts_folder(film_) / "000002.m4s.part") << "torn";
  FilmWriter resumed(film_, small_format(), ExistingFilm::kResume);
  ASSERT_EQ(resumed.pieces().size(), 2u);
  EXPECT_EQ(resumed.pieces()[1].first_frame, 9);
  EXPECT_EQ(resumed.pieces()[1].frames, 12);
  EXPECT_EQ(resumed.frames(), 21);
  EXPECT_FALSE(fs::exists(parts_folder(film_) / "000002.m4s.part"));
  write_pattern(resumed, 45);
  resumed.join({});
  EXPECT_EQ(file_bytes(film_), file_bytes(straight));
}

/// Changes one byte in the middle of a file.
void flip_byte(const fs::path& file) {
  std::string bytes = file_bytes(file);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(file, std::ios::binary) << bytes;
}

TEST_F(FilmWriterTest, ResumeStopsBeforeADamagedPiece) {
  const fs::path parts = parts_folder(film_);
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
    write_pattern(*std::make_unique<FilmWriter>(film_, small_format(), ExistingFilm::kReplace), 45);
    ASSERT_EQ(FilmWriter(film_, small_format(), ExistingFilm::kResume).pieces().size(), 4u);
    damages[i]();
    FilmWriter resumed(film_, small_format(), ExistingFilm::kResume);
    EXPECT_EQ(resumed.pieces().size(), 1u) << "damage " << i;
    EXPECT_FALSE(fs::exists(parts / "000003.m4s"));
    EXPECT_FALSE(fs::exists(parts / "000003.safetensors"));
  }
}

TEST_F(FilmWriterTest, InitSegmentThatIsGoneIsMadeAgain) {
  std::string init;
  {
    FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
    write_pattern(writer, 21);
    init = file_bytes(writer.init_segment());
    fs::resize_file(writer.init_segment(), 10);
  }
  FilmWriter resumed(film_, small_format(), ExistingFilm::kResume);
  EXPECT_EQ(resumed.frames(), 21);
  EXPECT_EQ(file_bytes(resumed.init_segment()), init);
}

TEST_F(FilmWriterTest, NotesComeBack) {
  const at::Tensor latents = pattern_frames(0, 2, 4, 4);
  {
    FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
    writer.write(pattern_frames(0, 9, 128, 80), {{{"latents", latents}}, {{"film", "abc"}}});
  }
  FilmWriter resumed(film_, small_format(), ExistingFilm::kResume);
  ASSERT_EQ(resumed.pieces().size(), 1u);
  const PieceNote note = resumed.note(0);
  EXPECT_TRUE(note.tensors.at("latents").equal(latents));
  EXPECT_EQ(note.texts.at("film"), "abc");
}

TEST_F(FilmWriterTest, FolderHalfDeletedIsNoUnfinishedFilm) {
  FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
  write_pattern(writer, 9);
  EXPECT_EQ(film_state(film_), FilmState::kUnfinished);
  writer.join({});
  const fs::path leftovers = fs::path(film_).replace_extension(".parts-done");
  fs::create_directory(leftovers);  // as a run that was killed while it deleted another film's folder leaves it
  std::ofstream(leftovers / "000001.m4s") << "left";
  writer.remove_parts();
  EXPECT_EQ(film_state(film_), FilmState::kComplete);
  EXPECT_FALSE(fs::exists(leftovers));
}

TEST_F(FilmWriterTest, KeptPiecesAreContinued) {
  FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
  write_pattern(writer, 45);
  writer.keep_pieces(1);
  EXPECT_EQ(writer.frames(), 9);
  EXPECT_FALSE(fs::exists(parts_folder(film_) / "000001.m4s"));
  write_pattern(writer, 21);
  writer.join({});
  EXPECT_EQ(read_film(film_).frames.size(), 21u);
}

TEST_F(FilmWriterTest, ResumeWithAnotherFormatIsRefused) {
  { write_pattern(*std::make_unique<FilmWriter>(film_, small_format(), ExistingFilm::kRefuse), 9); }
  FilmFormat other = small_format();
  other.fps = 24;
  EXPECT_THROW(FilmWriter(film_, other, ExistingFilm::kResume), ConfigError);
}

TEST_F(FilmWriterTest, ExistingWorkIsLeftAlone) {
  {
    FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
    write_pattern(writer, 9);
    EXPECT_THAT(error_text<Error>([&] { FilmWriter(film_, small_format(), ExistingFilm::kResume); }),
                HasSubstr("in use"));
  }
  EXPECT_THAT(
      error_text<Error>([&] { check_film_can_be_written(film_, ExistingFilm::kRefuse); }),
      AllOf(HasSubstr("a film: 100%.parts"), HasSubstr("--resume"), HasSubstr("--output"), HasSubstr("--overwrite")));
  {
    FilmWriter writer(film_, small_format(), ExistingFilm::kResume);
    writer.join({});
    writer.remove_parts();
  }
  const std::string before = file_bytes(film_);
  EXPECT_THAT(error_text<Error>([&] { FilmWriter(film_, small_format(), ExistingFilm::kRefuse); }),
              HasSubstr("exists"));
  EXPECT_THAT(error_text<Error>([&] { FilmWriter(film_, small_format(), ExistingFilm::kResume); }),
              HasSubstr("complete"));
  FilmWriter writer(film_, small_format(), ExistingFilm::kReplace);
  EXPECT_EQ(file_bytes(film_), before) << "the old film must stay until the new one is complete";
  write_pattern(writer, 21);
  writer.join({});
  EXPECT_EQ(read_film(film_).frames.size(), 21u);
}

TEST_F(FilmWriterTest, PlacesThatCannotBeWrittenAreNamed) {
  EXPECT_THAT(error_text<Error>([&] { check_film_can_be_written("film.avi", ExistingFilm::kRefuse); }),
              HasSubstr(".mp4"));
  const fs::path nowhere = folder_.path() / "nowhere" / "x.mp4";
  EXPECT_THAT(error_text<Error>([&] { check_film_can_be_written(nowhere, ExistingFilm::kRefuse); }),
              HasSubstr("no such"));
  EXPECT_THAT(error_text<Error>([&] { check_film_can_be_written(film_, ExistingFilm::kRefuse, int64_t{1} << 60); }),
              HasSubstr("MiB free"));
  EXPECT_THROW(FilmWriter("/proc/x.mp4", small_format(), ExistingFilm::kRefuse), MediaError);
  EXPECT_THROW(check_film_can_be_written("/dev/null/x.mp4", ExistingFilm::kRefuse), MediaError);
}

TEST_F(FilmWriterTest, ImpossibleFormatsAreNamed) {
  const auto refusal = [&](const std::function<void(FilmFormat&)>& change) {
    FilmFormat format = small_format();
    change(format);
    return error_text<Error>([&] { FilmWriter(film_, format, ExistingFilm::kRefuse); });
  };
  EXPECT_THAT(refusal([](FilmFormat& f) { f.width = 127; }), HasSubstr("127x80"));
  EXPECT_THAT(refusal([](FilmFormat& f) { f.fps = 0; }), HasSubstr("fps is 0"));
  EXPECT_THAT(refusal([](FilmFormat& f) { f.encoder.preset = "quick"; }), HasSubstr("'quick'"));
  EXPECT_THAT(refusal([](FilmFormat& f) { f.encoder.crf = 52; }), HasSubstr("52"));
  EXPECT_THAT(refusal([](FilmFormat& f) { f.encoder.threads = 0; }), HasSubstr("threads"));
  EXPECT_FALSE(fs::exists(parts_folder(film_)));
}

/// Runs `action` in a child process; returns how it ended, as waitpid says. Status 0: it returned.
int in_child(const std::function<void()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      action();
      ::_exit(0);
    } catch (const MediaError& error) {
      ::_exit(std::string(error.what()).find("room") != std::string::npos ? 5 : 6);
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

TEST_F(FilmWriterTest, FullDiskWhileWritingKeepsTheWholePieces) {
  const int status = in_child([&] {
    FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
    write_pattern(writer, 21);
    limit_files(500);
    write_pattern(writer, 45);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_GE(WEXITSTATUS(status), 5) << "no MediaError";
  EXPECT_FALSE(fs::exists(film_));
  EXPECT_FALSE(fs::exists(parts_folder(film_) / "000002.m4s"));
  EXPECT_FALSE(fs::exists(parts_folder(film_) / "000002.m4s.part"));
  EXPECT_EQ(FilmWriter(film_, small_format(), ExistingFilm::kResume).frames(), 21);
}

TEST_F(FilmWriterTest, FullDiskWhileJoiningLeavesNoFilm) {
  const int status = in_child([&] {
    FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
    write_pattern(writer, 45);
    limit_files(3000);
    writer.join({});
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 5) << "no MediaError that says what to do";
  EXPECT_FALSE(fs::exists(film_));
  EXPECT_FALSE(fs::exists(film_.string() + ".part"));
  FilmWriter resumed(film_, small_format(), ExistingFilm::kResume);
  resumed.join({});
  EXPECT_EQ(read_film(film_).frames.size(), 45u);
}

TEST_F(FilmWriterTest, KilledWriterLeavesOnlyWholePieces) {
  for (const int delay_ms : {20, 60, 110}) {
    fs::remove_all(parts_folder(film_));
    const pid_t child = ::fork();
    if (child == 0) {
      const at::Tensor frames = pattern_frames(0, 12, 128, 80);
      FilmWriter writer(film_, small_format(), ExistingFilm::kRefuse);
      for (;;) writer.write(frames);
    }
    while (!fs::exists(parts_folder(film_) / "000000.m4s")) ::usleep(1000);
    ::usleep(static_cast<useconds_t>(delay_ms) * 1000);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::vector<fs::path> files = {parts_folder(film_) / "init.mp4"};
    for (const fs::directory_entry& entry : fs::directory_iterator(parts_folder(film_))) {
      if (entry.path().extension() == ".m4s") files.push_back(entry.path());
    }
    std::sort(files.begin() + 1, files.end());
    const fs::path whole = folder_.path() / "whole.mp4";
    concatenate(files, whole);
    EXPECT_EQ(read_film(whole).frames.size(), 12 * (files.size() - 1));
    FilmWriter resumed(film_, small_format(), ExistingFilm::kResume);
    EXPECT_EQ(resumed.pieces().size(), files.size() - 1);
    EXPECT_FALSE(fs::exists(film_));
  }
}

TEST_F(FilmWriterTest, FfmpegHasNoComplaint) {
  const fs::path film = folder_.path() / "film.mp4";
  const fs::path whole = folder_.path() / "whole.mp4";
  FilmWriter writer(film, small_format(), ExistingFilm::kRefuse);
  write_pattern(writer, 45);
  writer.join({{"prompt", "x"}});
  concatenate(piece_files(writer), whole);
  if (run_quiet("true") == -1) GTEST_SKIP() << "ffmpeg is not installed";
  EXPECT_EQ(run_quiet("ffmpeg -nostdin -v warning -xerror -i " + film.string() + " -f null -"), 0);
  EXPECT_EQ(run_quiet("ffmpeg -nostdin -v warning -xerror -i " + whole.string() + " -f null -"), 0);
  EXPECT_EQ(run_quiet("ffprobe -v error -show_entries stream=start_time,duration -of csv=p=0 '" + film.string() +
                      "' | grep -vx 0.000000,2.812500"),
            0);
}

}  // namespace
}  // namespace flashblock
