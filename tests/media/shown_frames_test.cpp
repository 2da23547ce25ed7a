// Images and videos are read as viewers and players show them, not as they are stored.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>

#include "core/error.h"
#include "media/ffmpeg_handles.h"
#include "media/frame_conversion.h"
#include "media/image_reader.h"
#include "media/orientation.h"
#include "media/png_writer.h"
#include "media/video_reader.h"
#include "tests/media/test_video.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_file_writer.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using testing::error_text;
using testing::file_bytes;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using testing::write_bytes;

/// Red and lime over blue and white. Shape: [height, width, 3] uint8.
at::Tensor quadrants(int64_t width, int64_t height) {
  at::Tensor rgb = at::full({height, width, 3}, 0, at::kByte);
  const int64_t x = width / 2, y = height / 2;
  rgb.slice(0, 0, y).slice(1, 0, x).select(2, 0).fill_(255);
  rgb.slice(0, 0, y).slice(1, x).select(2, 1).fill_(255);
  rgb.slice(0, y).slice(1, 0, x).select(2, 2).fill_(255);
  rgb.slice(0, y).slice(1, x).fill_(255);
  return rgb;
}

/// The middles of the four quarters as letters, row by row: "RG/BW" for quadrants().
std::string letters(const at::Tensor& image) {
  std::string text;
  for (const int64_t y : {image.size(1) / 4, 3 * image.size(1) / 4}) {
    if (!text.empty()) text += '/';
    for (const int64_t x : {image.size(2) / 4, 3 * image.size(2) / 4}) {
      const auto on = [&](int64_t c) { return image[c][y][x].item<float>() > 0.5F; };
      const int color = on(0) + 2 * on(1) + 4 * on(2);
      text += "KRGYBMCW"[color];
    }
  }
  return text;
}

/// A frame with these bytes in its first plane. Shape: [H, W, channels] uint8.
FramePtr packed_frame(const at::Tensor& pixels, AVPixelFormat format) {
  FramePtr frame = make_frame(format, static_cast<int>(pixels.size(1)), static_cast<int>(pixels.size(0)));
  const auto row_bytes = static_cast<size_t>(pixels.size(1) * pixels.size(2));
  for (int64_t row = 0; row < pixels.size(0); ++row)
    std::memcpy(frame->data[0] + row * frame->linesize[0],
                pixels.const_data_ptr<uint8_t>() + static_cast<size_t>(row) * row_bytes, row_bytes);
  return frame;
}

/// A frame of one colour, given by its levels.
FramePtr plain_frame(AVPixelFormat format, int width, int height, const std::vector<uint8_t>& levels) {
  FramePtr frame = make_frame(format, width, height);
  const int chroma = AV_CEIL_RSHIFT(height, av_pix_fmt_desc_get(format)->log2_chroma_h);
  for (size_t plane = 0; plane < levels.size(); ++plane)
    std::memset(frame->data[plane], levels[plane],
                static_cast<size_t>(frame->linesize[plane] * (plane == 1 || plane == 2 ? chroma : height)));
  return frame;
}

struct Clip {
  AVCodecID codec = AV_CODEC_ID_PNG;
  AVRational aspect = {1, 1};
  std::array<int32_t, 9> matrix = {};  ///< all zeros: none
};

/// Writes frames of one size, 16 a second, into the container that the name says.
void write_clip(const fs::path& file, const std::vector<FramePtr>& frames, const Clip& clip = {}) {
  AVFormatContext* made = nullptr;
  check_ffmpeg(avformat_alloc_output_context2(&made, nullptr, nullptr, file.c_str()), "container");
  const OutputPtr output(made);
  CodecContextPtr encoder = make_image_encoder(clip.codec, "clip", *frames.front());
  encoder->time_base = {1, 16};
  encoder->framerate = {16, 1};
  encoder->sample_aspect_ratio = clip.aspect;
  check_ffmpeg(avcodec_open2(encoder.get(), nullptr, nullptr), "encoder");
  AVStream* stream = avformat_new_stream(made, nullptr);
  check_ffmpeg(avcodec_parameters_from_context(stream->codecpar, encoder.get()), "stream");
  stream->time_base = {1, 16};
  stream->avg_frame_rate = {16, 1};
  stream->sample_aspect_ratio = clip.aspect;
  if (clip.matrix != std::array<int32_t, 9>()) {
#if LIBAVCODEC_VERSION_MAJOR >= 61
    uint8_t* bytes = av_packet_side_data_new(&stream->codecpar->coded_side_data, &stream->codecpar->nb_coded_side_data,
                                             AV_PKT_DATA_DISPLAYMATRIX, sizeof clip.matrix, 0)
                         ->data;
#else
    uint8_t* bytes = av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, sizeof clip.matrix);
#endif
    std::memcpy(bytes, clip.matrix.data(), sizeof clip.matrix);
  }
  check_ffmpeg(avio_open(&made->pb, file.c_str(), AVIO_FLAG_WRITE), "file");
  check_ffmpeg(avformat_write_header(made, nullptr), "header");
  const PacketPtr packet = make_packet();
  const auto drain = [&] {
    while (avcodec_receive_packet(encoder.get(), packet.get()) >= 0) {
      packet->stream_index = 0;
      packet->duration = 1;
      av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
      check_ffmpeg(av_interleaved_write_frame(made, packet.get()), "packet");
    }
  };
  for (size_t i = 0; i < frames.size(); ++i) {
    frames[i]->pts = static_cast<int64_t>(i);
    check_ffmpeg(avcodec_send_frame(encoder.get(), frames[i].get()), "frame");
    drain();
  }
  avcodec_send_frame(encoder.get(), nullptr);
  drain();
  check_ffmpeg(av_write_trailer(made), "trailer");
  avio_closep(&made->pb);
}

std::vector<FramePtr> repeated(const at::Tensor& pixels, AVPixelFormat format, int count = 2) {
  std::vector<FramePtr> frames;
  for (int i = 0; i < count; ++i) frames.push_back(packed_frame(pixels, format));
  return frames;
}

// --- orientation

constexpr int32_t kOne = 1 << 16, kUnit = 1 << 30;

std::array<int32_t, 9> matrix_of(int32_t a, int32_t b, int32_t c, int32_t d) {
  return {a * kOne, b * kOne, 0, c * kOne, d * kOne, 0, 0, 0, kUnit};
}

struct Turn {
  const char* shown;  ///< of quadrants()
  int exif;
  std::array<int32_t, 9> matrix;
};
// EXIF 2.32, tag 0x0112, and the matrices that map stored to shown places (x to the right, y down).
const Turn kTurns[] = {{"RG/BW", 1, matrix_of(1, 0, 0, 1)},   {"GR/WB", 2, matrix_of(-1, 0, 0, 1)},
                       {"WB/GR", 3, matrix_of(-1, 0, 0, -1)}, {"BW/RG", 4, matrix_of(1, 0, 0, -1)},
                       {"RB/GW", 5, matrix_of(0, 1, 1, 0)},   {"BR/WG", 6, matrix_of(0, 1, -1, 0)},
                       {"WG/BR", 7, matrix_of(0, -1, -1, 0)}, {"GW/RB", 8, matrix_of(0, -1, 1, 0)}};

TEST(ShownFrames, VideosAreTurnedAsTheirDisplayMatrixSays) {
  const TemporaryFolder folder;
  for (const Turn& turn : kTurns) {
    SCOPED_TRACE(turn.exif);
    write_clip(folder / "turned.mov", repeated(quadrants(64, 32), AV_PIX_FMT_RGB24), {.matrix = turn.matrix});
    const at::Tensor video = read_video(folder / "turned.mov");
    EXPECT_EQ(letters(video[1]), turn.shown);
    EXPECT_EQ(video.size(3), turn.exif > 4 ? 32 : 64);
    EXPECT_EQ(letters(read_video(folder / "turned.mov", 48, 48, 1)[0]), turn.shown);
    EXPECT_EQ(orientation_of_matrix(turn.matrix.data()), orientation_of_exif(turn.exif));
  }
}

uint32_t crc32(const std::string& bytes) {
  uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? 0xEDB88320U ^ (crc >> 1) : crc >> 1;
  }
  return ~crc;
}

std::string big_endian(uint32_t value, int bytes = 4) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xFF);
  return text;
}

/// A TIFF header with the orientation behind another tag, in either byte order.
std::string exif_data(int orientation, bool little) {
  const auto number = [&](uint32_t value, int bytes) {
    std::string text = big_endian(value, bytes);
    return little ? std::string(text.rbegin(), text.rend()) : text;
  };
  const auto entry = [&](uint32_t tag, uint32_t value) {
    return number(tag, 2) + number(3, 2) + number(1, 4) + number(value, 2) + number(0, 2);
  };
  return (little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(2, 2) + entry(0x0100, 7) +
         entry(0x0112, static_cast<uint32_t>(orientation)) + number(0, 4);
}

/// The file with a chunk more, behind IHDR.
std::string with_chunk(const std::string& png, const std::string& type, const std::string& data) {
  constexpr size_t kAfterHeader = 8 + 25;
  const std::string chunk =
      big_endian(static_cast<uint32_t>(data.size())) + type + data + big_endian(crc32(type + data));
  return png.substr(0, kAfterHeader) + chunk + png.substr(kAfterHeader);
}

/// The file with the segment APP1 behind its beginning.
std::string with_app1(const std::string& jpeg, const std::string& data) {
  return jpeg.substr(0, 2) + "\xff\xe1" + big_endian(static_cast<uint32_t>(data.size() + 2), 2) + data + jpeg.substr(2);
}

std::string image_bytes(const at::Tensor& pixels, AVPixelFormat format, AVCodecID codec = AV_CODEC_ID_PNG) {
  const FramePtr frame = packed_frame(pixels, format);
  const CodecContextPtr encoder = make_image_encoder(codec, "image", *frame);
  return encode_image(*encoder, "image", *frame);
}

TEST(ShownFrames, ImagesAreTurnedAsTheirExifDataSay) {
  const TemporaryFolder folder;
  const std::string png = image_bytes(quadrants(64, 32), AV_PIX_FMT_RGB24);
  FramePtr yuv = plain_frame(AV_PIX_FMT_YUVJ444P, 64, 32, {76, 85, 255});
  const CodecContextPtr encoder = make_image_encoder(AV_CODEC_ID_MJPEG, "JPEG", *yuv);
  const std::string jpeg = encode_image(*encoder, "JPEG", *yuv);
  for (const Turn& turn : kTurns)
    for (const bool little : {false, true}) {
      SCOPED_TRACE(turn.exif);
      const std::string exif = exif_data(turn.exif, little);
      write_bytes(folder / "turned.png", with_chunk(png, "eXIf", exif));
      EXPECT_EQ(letters(read_image(folder / "turned.png")), turn.shown);
      EXPECT_EQ(letters(read_image(folder / "turned.png", 40, 40)), turn.shown);
      write_bytes(folder / "turned.jpg", with_app1(jpeg, std::string("Exif\0\0", 6) + exif));
      EXPECT_EQ(read_image(folder / "turned.jpg").size(1), turn.exif > 4 ? 64 : 32);
    }
}

TEST(ShownFrames, DamagedExifDataCountAsNone) {
  const std::string png = image_bytes(quadrants(8, 8), AV_PIX_FMT_RGB24);
  const std::string exif = exif_data(6, true);
  EXPECT_EQ(orientation_of_image(with_chunk(png, "eXIf", exif)), orientation_of_exif(6));
  for (size_t size = 0; size < exif.size(); ++size) orientation_of_image(with_chunk(png, "eXIf", exif.substr(0, size)));
  EXPECT_EQ(orientation_of_image(with_chunk(png, "eXIf", exif_data(9, false))), Orientation());
  EXPECT_EQ(orientation_of_image(with_chunk(png, "eXIf", "II*\0\xff\xff\xff\xff")), Orientation());
  for (const std::string text : {"", "\xff", "\xff\xd8", "\xff\xd8\xff", "\xff\xd8\xff\xff\xff", "\x89PNG"})
    EXPECT_EQ(orientation_of_image(text), Orientation()) << text;
}

// --- shape of pixels

TEST(ShownFrames, PixelsThatAreNotSquareAreShownAsWideAsTheyAre) {
  const TemporaryFolder folder;
  // Shown 64x32, stored 32x32: the middle half of the width is lime.
  at::Tensor stored = at::full({32, 32, 3}, 0, at::kByte);
  stored.slice(1, 8, 24).select(2, 1).fill_(255);
  write_clip(folder / "wide.mov", repeated(stored, AV_PIX_FMT_RGB24), {.aspect = {2, 1}});
  const at::Tensor square = read_video(folder / "wide.mov", 32, 32, 1)[0];
  EXPECT_GT(square[1].mean().item<double>(), 0.95) << "the middle of what is shown, and nothing else";
  const at::Tensor whole = read_video(folder / "wide.mov", 64, 32, 1)[0];
  EXPECT_NEAR(whole[1].mean().item<double>(), 0.5, 0.02);
  // Turned by a quarter the pixels are tall.
  write_clip(folder / "tall.mov", repeated(stored, AV_PIX_FMT_RGB24),
             {.aspect = {2, 1}, .matrix = matrix_of(0, 1, -1, 0)});
  EXPECT_GT(read_video(folder / "tall.mov", 32, 32, 1)[0][1].mean().item<double>(), 0.95);
  EXPECT_NEAR(read_video(folder / "tall.mov", 32, 64, 1)[0][1].mean().item<double>(), 0.5, 0.02);
}

// --- transparency

/// [H, W, 4] with the colour and alpha of the left half and of the right half.
at::Tensor halves(const std::array<int, 4>& left, const std::array<int, 4>& right) {
  at::Tensor rgba = at::empty({16, 32, 4}, at::kByte);
  for (int64_t c = 0; c < 4; ++c) {
    rgba.slice(1, 0, 16).select(2, c).fill_(left[static_cast<size_t>(c)]);
    rgba.slice(1, 16).select(2, c).fill_(right[static_cast<size_t>(c)]);
  }
  return rgba;
}

void expect_color(const at::Tensor& image, int64_t x, const std::array<int, 3>& color) {
  for (int64_t c = 0; c < 3; ++c)
    EXPECT_NEAR(255 * image[c][8][x].item<double>(), color[static_cast<size_t>(c)], 1.01) << "channel " << c;
}

TEST(ShownFrames, WhatIsTransparentLiesOnWhite) {
  const TemporaryFolder folder;
  const at::Tensor rgba = halves({200, 30, 10, 0}, {200, 30, 10, 128});
  write_bytes(folder / "hidden.png", image_bytes(rgba, AV_PIX_FMT_RGBA));
  write_clip(folder / "hidden.mov", repeated(rgba, AV_PIX_FMT_RGBA));
  for (const at::Tensor& image : {read_image(folder / "hidden.png"), read_video(folder / "hidden.mov")[1]}) {
    expect_color(image, 4, {255, 255, 255});
    expect_color(image, 28, {227, 142, 132});  // half of the colour, half white
  }
  const at::Tensor opaque = halves({200, 30, 10, 255}, {0, 0, 0, 255});
  write_bytes(folder / "opaque.png", image_bytes(opaque, AV_PIX_FMT_RGBA));
  expect_color(read_image(folder / "opaque.png"), 4, {200, 30, 10});
  const FramePtr yuva = plain_frame(AV_PIX_FMT_YUVA420P, 32, 16, {16, 128, 128, 0});
  EXPECT_EQ(frame_to_rgb24(*yuva).min().item<int>(), 255);
  const FramePtr grey = packed_frame(at::tensor({10, 0}).to(at::kByte).expand({4, 4, 2}).contiguous(), AV_PIX_FMT_YA8);
  EXPECT_EQ(frame_to_rgb24(*grey).min().item<int>(), 255);
}

// A palette whose first colour is transparent, and an RGB image that names a transparent colour.
TEST(ShownFrames, ChunksOfTransparencyCount) {
  const TemporaryFolder folder;
  const at::Tensor red = at::tensor({255, 0, 0}).to(at::kByte).expand({8, 8, 3}).contiguous();
  const std::string rgb = image_bytes(red, AV_PIX_FMT_RGB24);
  write_bytes(folder / "named.png", with_chunk(rgb, "tRNS", std::string("\0\xff\0\0\0\0", 6)));
  EXPECT_EQ(read_image(folder / "named.png").min().item<float>(), 1.F);
  FramePtr indices = make_frame(AV_PIX_FMT_PAL8, 8, 8);
  for (int row = 0; row < 8; ++row) std::memset(indices->data[0] + row * indices->linesize[0], row < 4 ? 0 : 1, 8);
  const uint32_t palette[2] = {0x00FF0000, 0xFF0000FF};  // ARGB
  std::memset(indices->data[1], 0, 1024);
  std::memcpy(indices->data[1], palette, sizeof palette);
  const CodecContextPtr encoder = make_image_encoder(AV_CODEC_ID_PNG, "PNG", *indices);
  write_bytes(folder / "palette.png", encode_image(*encoder, "PNG", *indices));
  EXPECT_EQ(letters(read_image(folder / "palette.png")), "WW/BB");
}

// --- sizes that change

TEST(ShownFrames, FramesOfSeveralSizesAreFittedOneByOne) {
  const TemporaryFolder folder;
  const auto clip = [&](const char* name, int width, int height, uint8_t luma, int count) {
    std::vector<FramePtr> frames;
    for (int i = 0; i < count; ++i) frames.push_back(plain_frame(AV_PIX_FMT_YUV420P, width, height, {luma, 128, 128}));
    write_clip(folder / name, frames, {.codec = AV_CODEC_ID_MPEG2VIDEO});
  };
  clip("small.ts", 192, 112, 16, 8);
  clip("large.ts", 256, 144, 235, 8);
  testing::concatenate({folder / "small.ts", folder / "large.ts"}, folder / "both.ts");
  const at::Tensor video = read_video(folder / "both.ts", 64, 32, 12);
  ASSERT_EQ(video.sizes(), (std::vector<int64_t>{12, 3, 32, 64}));
  EXPECT_LT(video[0].mean().item<double>(), 0.05);
  EXPECT_GT(video[11].mean().item<double>(), 0.95);
  EXPECT_THAT(error_text<MediaError>([&] { read_video(folder / "both.ts"); }), HasSubstr("frames have several sizes"));
}

// --- colour matrix and range

void expect_levels(const FramePtr& frame, const std::array<int, 3>& color) {
  const at::Tensor rgb = frame_to_rgb24(*frame);
  for (int64_t c = 0; c < 3; ++c)
    EXPECT_NEAR(rgb[2][2][c].item<int>(), color[static_cast<size_t>(c)], 2) << "channel " << c;
}

// Red in limited range: BT.601 81, 90, 240; BT.709 63, 102, 240; BT.2020 74, 97, 240.
TEST(ShownFrames, ColoursFollowMatrixAndRange) {
  const std::array<int, 3> red = {255, 0, 0};
  const auto frame = [](int width, int height, std::vector<uint8_t> levels, AVColorSpace space = AVCOL_SPC_UNSPECIFIED,
                        AVColorRange range = AVCOL_RANGE_UNSPECIFIED) {
    FramePtr made = plain_frame(AV_PIX_FMT_YUV420P, width, height, levels);
    made->colorspace = space;
    made->color_range = range;
    return made;
  };
  expect_levels(frame(640, 480, {81, 90, 240}), red);
  expect_levels(frame(720, 576, {81, 90, 240}), red);
  expect_levels(frame(1280, 544, {63, 102, 240}), red);  // fewer rows than 16:9 would have
  expect_levels(frame(608, 1080, {63, 102, 240}), red);
  expect_levels(frame(64, 48, {63, 102, 240}, AVCOL_SPC_BT709), red);
  expect_levels(frame(1920, 1080, {81, 90, 240}, AVCOL_SPC_SMPTE170M), red);
  expect_levels(frame(64, 48, {74, 97, 240}, AVCOL_SPC_BT2020_NCL), red);
  expect_levels(frame(64, 48, {76, 85, 255}, AVCOL_SPC_BT470BG, AVCOL_RANGE_JPEG), {254, 0, 0});
  expect_levels(frame(64, 48, {235, 128, 128}), {255, 255, 255});
  expect_levels(frame(64, 48, {235, 128, 128}, AVCOL_SPC_BT709, AVCOL_RANGE_JPEG), {235, 235, 235});
  FramePtr old = plain_frame(AV_PIX_FMT_YUVJ420P, 64, 48, {235, 128, 128});
  expect_levels(old, {235, 235, 235});
  EXPECT_THAT(error_text<MediaError>([&] {
                frame_to_rgb24(*frame(64, 48, {81, 90, 240}, AVCOL_SPC_YCGCO));
              }),
              HasSubstr("colour matrix is ycgco"));
}

}  // namespace
}  // namespace flashblock
