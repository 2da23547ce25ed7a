#include "tests/media/test_video.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace flashblock::testing {
namespace fs = std::filesystem;

at::Tensor pattern_frame(int64_t index, int64_t width, int64_t height) {
  const at::Tensor x = at::arange(width, at::kFloat).view({1, width}).expand({height, width}) / width;
  const at::Tensor y = at::arange(height, at::kFloat).view({height, 1}).expand({height, width}) / height;
  const double phase = 0.35 * static_cast<double>(index);
  const at::Tensor distance =
      ((x - (0.5 + 0.3 * std::cos(phase))).square() + (y - (0.5 + 0.3 * std::sin(phase))).square()).sqrt();
  const at::Tensor disc = at::sigmoid((0.15 - distance) * 30);
  return at::stack(
      {x * (1 - disc) + disc * 0.9, y * (1 - disc) + disc * 0.2, (1 - x) * 0.5 * (1 - disc) + disc * 0.1 + 0.2 * y});
}

at::Tensor pattern_frames(int64_t first, int64_t count, int64_t width, int64_t height) {
  std::vector<at::Tensor> frames;
  for (int64_t i = first; i < first + count; ++i) frames.push_back(pattern_frame(i, width, height));
  return at::stack(frames);
}

double psnr(const at::Tensor& a, const at::Tensor& b) {
  return -10 * std::log10((a - b).square().mean().item<double>());
}

std::string file_bytes(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot open " + file.string());
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void concatenate(const std::vector<fs::path>& files, const fs::path& target) {
  std::ofstream stream(target, std::ios::binary);
  for (const fs::path& file : files) stream << file_bytes(file);
}

bool has_ffmpeg() {
  static const bool found = std::system("command -v ffmpeg >/dev/null 2>&1 && command -v ffprobe >/dev/null 2>&1") == 0;
  return found;
}

VideoFormat small_format() {
  VideoFormat format;
  format.width = 128;
  format.height = 80;
  return format;
}

void write_pattern(VideoWriter& writer, int64_t frames) {
  while (writer.frames() < frames) {
    const int64_t count = writer.segments().empty() ? 9 : 12;
    writer.write(pattern_frames(writer.frames(), count, writer.format().width, writer.format().height));
  }
}

}  // namespace flashblock::testing
