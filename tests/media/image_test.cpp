#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "media/contact_sheet.h"
#include "media/frame_conversion.h"
#include "media/frame_grid.h"
#include "media/image_reader.h"
#include "media/jpeg_encoder.h"
#include "media/png_writer.h"
#include "media/video_reader.h"
#include "tests/media/test_video.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::pattern_frame;
using testing::pattern_frames;
using testing::test_data;

/// Colours of the middles of the four quarters, row by row. Shape: [4, 3].
at::Tensor quarters(const at::Tensor& image) {
  const int64_t height = image.size(1), width = image.size(2);
  std::vector<float> colours;
  for (const int64_t y : {height / 4, 3 * height / 4}) {
    for (const int64_t x : {width / 4, 3 * width / 4}) {
      for (int64_t c = 0; c < 3; ++c) colours.push_back(image[c][y][x].item<float>());
    }
  }
  return at::tensor(colours).view({4, 3});
}

double difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

const at::Tensor kRedLimeBlueWhite =
    at::tensor({1.F, 0.F, 0.F, 0.F, 1.F, 0.F, 0.F, 0.F, 1.F, 1.F, 1.F, 1.F}).view({4, 3});

TEST(FrameConversionTest, RoundsAndClamps) {
  const at::Tensor levels = at::tensor({-0.5F, 0.F, 0.498F / 255, 0.502F / 255, 127.6F / 255, 1.F, 1.7F});
  const at::Tensor bytes = to_rgb24(levels.view({1, 1, 1, 7}).expand({1, 3, 1, 7}));
  ASSERT_EQ(bytes.sizes(), (std::vector<int64_t>{1, 1, 7, 3}));
  const std::vector<int> expected = {0, 0, 0, 1, 128, 255, 255};
  for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(bytes[0][0][i][1].item<int>(), expected[static_cast<size_t>(i)]) << i;
}

TEST(FrameConversionTest, BytesSurviveTheRoundTrip) {
  const at::Tensor bytes = to_rgb24(at::rand({2, 3, 6, 10}));
  EXPECT_TRUE(at::equal(to_rgb24(from_rgb24(bytes)), bytes));
}

TEST(ImageReaderTest, ReadsEveryKindOfImage) {
  for (const char* name : {"quadrants.png", "quadrants_palette.png", "quadrants_rgba16.png"}) {
    const at::Tensor image = read_image(test_data("media") / name);
    ASSERT_EQ(image.sizes(), (std::vector<int64_t>{3, 48, 64})) << name;
    EXPECT_LT(difference(quarters(image), kRedLimeBlueWhite), 0.013) << name;  // the palette was made by FFmpeg
  }
  const at::Tensor jpeg = read_image(test_data("media") / "quadrants.jpg");
  ASSERT_EQ(jpeg.sizes(), (std::vector<int64_t>{3, 48, 64}));
  EXPECT_LT(difference(quarters(jpeg), kRedLimeBlueWhite), 0.02);
  const at::Tensor grey = read_image(test_data("media") / "quadrants_grey.png");
  EXPECT_LT(difference(grey[0], grey[2]), 1e-6);
  EXPECT_NEAR(quarters(grey)[3][0].item<float>(), 1, 0.01) << "white";
  EXPECT_GT(quarters(grey)[1][0].item<float>(), quarters(grey)[0][0].item<float>()) << "lime is lighter than red";
}

TEST(ImageReaderTest, AppliesTheExifOrientation) {
  const at::Tensor image = read_image(test_data("media") / "quadrants_turned.jpg");
  ASSERT_EQ(image.sizes(), (std::vector<int64_t>{3, 64, 48}));
  const at::Tensor clockwise = kRedLimeBlueWhite.index_select(0, at::tensor({2, 0, 3, 1}));
  EXPECT_LT(difference(quarters(image), clockwise), 0.02);
}

TEST(ImageReaderTest, PngComesBackExactly) {
  const testing::TemporaryFolder folder;
  const at::Tensor image = from_rgb24(to_rgb24(at::rand({1, 3, 37, 53})))[0];
  write_png(folder / "image.png", image);
  EXPECT_TRUE(at::equal(read_image(folder / "image.png"), image));
  EXPECT_FALSE(fs::exists(folder / "image.png.part"));
}

TEST(ImageReaderTest, FillsTheSizeWithTheCentredPart) {
  at::Tensor wide = at::zeros({20, 60, 3}, at::kByte);
  wide.slice(1, 20, 40).fill_(255);  // the middle third is white, and it alone is kept
  EXPECT_EQ(fill_size(wide, 10, 10).min().item<int>(), 255);
  const at::Tensor tall = fill_size(wide.transpose(0, 1).contiguous(), 40, 40);
  ASSERT_EQ(tall.sizes(), (std::vector<int64_t>{40, 40, 3}));
  EXPECT_EQ(tall.min().item<int>(), 255);
  EXPECT_LT(difference(quarters(read_image(test_data("media") / "quadrants.png", 96, 96)), kRedLimeBlueWhite), 0.01);
}

TEST(ImageReaderTest, ResizingKeepsASmoothImage) {
  const auto resized = [](const at::Tensor& image, int64_t width, int64_t height) {
    return from_rgb24(fill_size(to_rgb24(image.unsqueeze(0))[0], width, height).unsqueeze(0))[0];
  };
  const at::Tensor large = pattern_frame(3, 256, 160), small = pattern_frame(3, 128, 80);
  EXPECT_GT(testing::psnr(resized(large, 128, 80), small), 35);
  EXPECT_GT(testing::psnr(resized(small, 256, 160), large), 35);
}

TEST(ImageReaderTest, DamagedFilesGiveOneClearLine) {
  const testing::TemporaryFolder folder;
  const auto refusal = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    const std::string text = error_text<MediaError>([&] { read_image(folder / name); });
    EXPECT_THAT(text, AllOf(HasSubstr(name), HasSubstr("wanted"), Not(HasSubstr("\n"))));
    return text;
  };
  const std::string png = testing::file_bytes(test_data("media") / "quadrants.png");
  const std::string jpeg = testing::file_bytes(test_data("media") / "quadrants.jpg");
  EXPECT_THAT(refusal("cut.png", png.substr(0, png.size() / 2)), HasSubstr("damaged PNG"));
  EXPECT_THAT(refusal("head.png", png.substr(0, 20)), HasSubstr("damaged PNG"));
  EXPECT_THAT(refusal("head.jpg", jpeg.substr(0, 40)), HasSubstr("damaged JPEG"));
  EXPECT_THAT(refusal("empty.png", ""), HasSubstr("neither PNG nor JPEG"));
  EXPECT_THAT(refusal("text.jpg", "not an image"), HasSubstr("neither PNG nor JPEG"));
  EXPECT_THAT(refusal("web.png", std::string("RIFF\x10\0\0\0WEBPVP8 ", 16)),
              HasSubstr("found an image (WebP), wanted PNG or JPEG; convert it first"));
  std::string flipped = png;
  flipped[png.size() / 2] = static_cast<char>(flipped[png.size() / 2] ^ 0x55);
  EXPECT_THAT(refusal("flipped.png", flipped), HasSubstr("damaged PNG"));
  EXPECT_THAT(error_text<MediaError>([&] { read_image(folder / "missing.png"); }), HasSubstr("no such file"));
  EXPECT_THAT(error_text<MediaError>([&] { read_image(folder.path()); }), HasSubstr("no such file"));
}

TEST(JpegEncoderTest, ComesBackNearlyTheSame) {
  const testing::TemporaryFolder folder;
  const auto round_trip = [&](const at::Tensor& image, int quantizer) {
    std::ofstream(folder / "image.jpg", std::ios::binary) << encode_jpeg(to_rgb24(image.unsqueeze(0))[0], quantizer);
    return read_image(folder / "image.jpg");
  };
  const at::Tensor colors = at::tensor({0.8F, 0.2F, 0.4F}).view({3, 1, 1}).expand({3, 20, 30});
  EXPECT_LT(difference(round_trip(colors, 2), colors), 0.02) << "another matrix or range";
  const at::Tensor pattern = pattern_frame(3, 256, 160);
  EXPECT_GT(testing::psnr(round_trip(pattern, 2), pattern), 38);
  EXPECT_LT(encode_jpeg(to_rgb24(pattern.unsqueeze(0))[0], 20).size(),
            encode_jpeg(to_rgb24(pattern.unsqueeze(0))[0], 2).size());
}

TEST(FrameGridTest, PutsEveryImageUnderItsName) {
  const FrameGrid grid({"red", "green", "blue", "white"}, 40, 24);
  EXPECT_EQ(grid.width() % 2 + grid.height() % 2, 0);
  std::vector<at::Tensor> images;
  for (const auto& color : {std::vector<int>{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}}) {
    images.push_back(at::tensor(color).to(at::kByte).expand({24, 40, 3}));
  }
  const at::Tensor sheet = grid.draw(images);
  ASSERT_EQ(sheet.sizes(), (std::vector<int64_t>{grid.height(), grid.width(), 3}));
  const at::Tensor half = from_rgb24(sheet.unsqueeze(0))[0];
  const at::Tensor colors = at::tensor({1.F, 0.F, 0.F, 0.F, 1.F, 0.F, 0.F, 0.F, 1.F, 1.F, 1.F, 1.F}).view({4, 3});
  EXPECT_LT(difference(quarters(half), colors), 0.01) << "two rows of two";
  for (const at::Tensor& image : images) {
    const at::Tensor same = (sheet == image[0][0]).all(2);
    EXPECT_GE(same.sum().item<int64_t>(), 24 * 40);
  }
  const at::Tensor names = sheet.slice(0, 0, 14).amax(2);
  EXPECT_GT((names > 150).sum().item<int64_t>(), 20) << "no names";
}

TEST(FrameGridTest, ShrinksWideVideosOnly) {
  const at::Tensor video = to_rgb24(pattern_frames(0, 2, 256, 160));
  EXPECT_TRUE(at::equal(shrink_frames(video, 256), video));
  const at::Tensor small = shrink_frames(video, 128);
  ASSERT_EQ(small.sizes(), (std::vector<int64_t>{2, 80, 128, 3}));
  EXPECT_GT(testing::psnr(from_rgb24(small), pattern_frames(0, 2, 128, 80)), 35);
}

TEST(PngWriterTest, FoldersThatAreNotThereAreNamed) {
  EXPECT_THAT(error_text<MediaError>([] {
                write_png("/nowhere/x.png", at::zeros({3, 4, 4}));
              }),
              HasSubstr("/nowhere/x.png"));
}

TEST(VideoReaderTest, LastFramesAreTheLast) {
  const testing::TemporaryFolder folder;
  VideoWriter writer(folder / "video.mp4", testing::small_format(), ExistingVideo::kRefuse);
  testing::write_pattern(writer, 21);
  writer.join({});
  const at::Tensor last = read_video(folder / "video.mp4", 5);
  ASSERT_EQ(last.size(0), 5);
  EXPECT_TRUE(at::equal(last, read_video(folder / "video.mp4").slice(0, 16)));
  EXPECT_EQ(read_video(folder / "video.mp4", 1000).size(0), 21);
}

TEST(VideoReaderTest, FilesThatAreNoVideoAreNamed) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "text.mp4") << "this is not a video";
  EXPECT_THAT(error_text<MediaError>([&] { read_video(folder / "text.mp4"); }), HasSubstr("text.mp4"));
  EXPECT_THAT(error_text<MediaError>([&] { read_video(folder / "missing.mp4"); }), HasSubstr("missing.mp4: No such"));
}

TEST(ContactSheetTest, ShowsImagesOfTheWholeVideo) {
  const testing::TemporaryFolder folder;
  ContactSheet sheet(33, 16, 3);
  at::Tensor video = at::zeros({45, 3, 40, 64});  // longer than asked for: what lies beyond is not shown
  video[0][0].fill_(1);                           // first frame red, the middle one green, the last one blue
  video[16][1].fill_(1);
  video[32][2].fill_(1);
  for (const auto& [first, count] : {std::pair{0, 9}, {9, 12}, {21, 12}, {33, 12}})
    sheet.add(video.narrow(0, first, count));
  sheet.write(folder / "sheet.png");
  const at::Tensor image = read_image(folder / "sheet.png");
  for (int64_t c = 0; c < 3; ++c) {
    at::Tensor others = at::zeros({image.size(1), image.size(2)});
    for (int64_t other = 0; other < 3; ++other) {
      if (other != c) others = others + image[other];
    }
    const int64_t pure = ((image[c] > 0.99).logical_and(others < 0.01)).sum().item<int64_t>();
    EXPECT_EQ(pure, 40 * 64) << "channel " << c;
  }
  EXPECT_GT((image.amin(0) > 0.6).sum().item<int64_t>(), 30) << "no time labels";
}

TEST(ContactSheetTest, ShortVideosAndEmptyVideos) {
  const testing::TemporaryFolder folder;
  ContactSheet two(2, 16, 12);
  EXPECT_THAT(error_text<MediaError>([&] { two.write(folder / "none.png"); }), HasSubstr("no frames"));
  two.add(to_rgb24(pattern_frames(0, 2, 832, 480)));
  two.write(folder / "two.png");
  EXPECT_GT(read_image(folder / "two.png").size(1), 100);
}

}  // namespace
}  // namespace flashblock
