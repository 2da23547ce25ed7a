#include "media/contact_sheet.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "core/check.h"
#include "core/error.h"
#include "media/frame_conversion.h"
#include "media/image_view.h"
#include "media/png_writer.h"

namespace flashblock {
namespace {

constexpr int kMaxImageWidth = 416;  // pixels

/// The layout, in pixels, derived from the width of an image.
struct Layout {
  int columns, rows, width, height, gap, label;

  Layout(int64_t images, const cv::Size& image) {
    width = std::min(image.width, kMaxImageWidth);
    height = std::max(1, static_cast<int>(std::lround(static_cast<double>(image.height) * width / image.width)));
    // The number of columns that makes the sheet about 4:3.
    columns = static_cast<int>(std::lround(std::sqrt(static_cast<double>(images) * height / width * 4 / 3)));
    columns = std::clamp(columns, 1, static_cast<int>(images));
    rows = static_cast<int>((images + columns - 1) / columns);
    gap = std::max(6, width / 26);
    label = std::max(12, width / 17);
  }
  cv::Size sheet() const { return {columns * (width + gap) + gap, rows * (height + label + gap) + gap}; }
  cv::Rect image(int index) const {
    return {gap + index % columns * (width + gap), gap + index / columns * (height + label + gap), width, height};
  }
};

std::string time_label(double seconds) {
  const int64_t tenths = std::llround(seconds * 10);
  char text[32];
  std::snprintf(text, sizeof text, "%d:%02d.%d", static_cast<int>(tenths / 600), static_cast<int>(tenths / 10 % 60),
                static_cast<int>(tenths % 10));
  return text;
}

void draw_label(cv::Mat& sheet, const std::string& text, const cv::Rect& image, int line_height) {
  const int letters = std::max(7, line_height * 11 / 20);  // height of capitals
  const double scale = cv::getFontScaleFromHeight(kFont, letters);
  const cv::Point start(image.x, image.y + image.height + (line_height + letters) / 2 + 1);
  cv::putText(sheet, text, start, kFont, scale, kInk, 1, cv::LINE_AA);
}

}  // namespace

ContactSheet::ContactSheet(int64_t video_frames, int64_t fps, int64_t images)
    : video_frames_(video_frames), fps_(fps), wanted_(std::min(images, video_frames)) {
  FB_CHECK(video_frames > 0 && fps > 0 && images > 0, video_frames, " frames, ", fps, " fps, ", images, " images");
}

std::optional<int64_t> ContactSheet::next_frame() const {
  const auto index = static_cast<int64_t>(images_.size());
  if (index == wanted_) return std::nullopt;
  // The first and the last frame of the video, and evenly spaced ones between them.
  return wanted_ == 1 ? 0 : index * (video_frames_ - 1) / (wanted_ - 1);
}

at::Tensor ContactSheet::add(const at::Tensor& frames) {
  const int64_t end = std::min(seen_frames_ + frames.size(0), video_frames_);
  std::vector<at::Tensor> taken;
  for (auto frame = next_frame(); frame && *frame < end; frame = next_frame()) {
    const at::Tensor image = frames.narrow(0, *frame - seen_frames_, 1);
    const at::Tensor rgb = image.is_floating_point() ? to_rgb24(image) : image.clone();
    taken.push_back(rgb[0].contiguous());
    images_.push_back({static_cast<double>(*frame) / static_cast<double>(fps_), taken.back()});
  }
  seen_frames_ += frames.size(0);
  return taken.empty() ? at::Tensor() : at::stack(taken);
}

void ContactSheet::add_taken(int64_t frames, const at::Tensor& taken) {
  const int64_t end = std::min(seen_frames_ + frames, video_frames_);
  int64_t used = 0;
  for (auto frame = next_frame(); frame && *frame < end; frame = next_frame()) {
    FB_CHECK(taken.defined() && used < taken.size(0), "too few images were taken of these frames");
    images_.push_back({static_cast<double>(*frame) / static_cast<double>(fps_), taken[used++].clone()});
  }
  seen_frames_ += frames;
}

void ContactSheet::write(const std::filesystem::path& file) const {
  if (images_.empty()) throw MediaError("cannot write " + file.string() + ": the video has no frames");
  const Layout layout(static_cast<int64_t>(images_.size()), image_view(images_[0].rgb).size());
  const cv::Size size = layout.sheet();
  const at::Tensor paper = at::empty({size.height, size.width, 3}, at::kByte);
  cv::Mat sheet = image_view(paper);
  sheet.setTo(kPaper);
  for (size_t i = 0; i < images_.size(); ++i) {
    const cv::Rect place = layout.image(static_cast<int>(i));
    cv::Mat target = sheet(place);
    cv::resize(image_view(images_[i].rgb), target, place.size(), 0, 0, cv::INTER_AREA);
    draw_label(sheet, time_label(images_[i].seconds), place, layout.label);
  }
  write_png(file, paper);
}

}  // namespace flashblock
