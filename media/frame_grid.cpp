#include "media/frame_grid.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/check.h"
#include "media/image_view.h"

namespace flashblock {
namespace {

int64_t even(int64_t pixels) { return pixels + pixels % 2; }

}  // namespace

at::Tensor shrink_frames(const at::Tensor& rgb, int64_t max_width) {
  FB_CHECK(rgb.dim() == 4 && rgb.is_cpu() && rgb.scalar_type() == at::kByte && rgb.size(3) == 3, rgb.sizes());
  const int64_t width = rgb.size(2);
  if (width <= max_width) return rgb;
  const int64_t height = std::max<int64_t>(1, (rgb.size(1) * max_width + width / 2) / width);
  const at::Tensor source = rgb.contiguous();
  at::Tensor small = at::empty({rgb.size(0), height, max_width, 3}, at::kByte);
  for (int64_t i = 0; i < rgb.size(0); ++i) {
    cv::Mat target = image_view(small[i]);
    cv::resize(image_view(source[i]), target, target.size(), 0, 0, cv::INTER_AREA);
  }
  return small;
}

FrameGrid::FrameGrid(std::vector<std::string> names, int64_t width, int64_t height)
    : names_(std::move(names)), frame_width_(width), frame_height_(height) {
  FB_CHECK(!names_.empty() && width > 0 && height > 0);
  const auto count = static_cast<int64_t>(names_.size());
  columns_ = count <= 3 ? count : count == 4 ? 2 : 3;
  label_ = std::max<int64_t>(14, height / 8);
  gap_ = std::max<int64_t>(2, width / 64);
  width_ = even(columns_ * (width + gap_) + gap_);
  height_ = even((count + columns_ - 1) / columns_ * (height + label_) + gap_);
}

at::Tensor FrameGrid::draw(const std::vector<at::Tensor>& frames) const {
  FB_CHECK(frames.size() == names_.size(), frames.size(), " frames for ", names_.size(), " names");
  at::Tensor paper = at::empty({height_, width_, 3}, at::kByte);
  cv::Mat sheet = image_view(paper);
  sheet.setTo(kPaper);
  const int letters = static_cast<int>(std::max<int64_t>(7, label_ * 9 / 20));  // height of capitals
  for (size_t i = 0; i < frames.size(); ++i) {
    FB_CHECK(frames[i].size(0) == frame_height_ && frames[i].size(1) == frame_width_, frames[i].sizes());
    const int64_t row = static_cast<int64_t>(i) / columns_, column = static_cast<int64_t>(i) % columns_;
    const int x = static_cast<int>(gap_ + column * (frame_width_ + gap_));
    const int y = static_cast<int>(row * (frame_height_ + label_));
    // A name that is too wide for its frame is drawn smaller.
    double scale = cv::getFontScaleFromHeight(kFont, letters);
    const int written = cv::getTextSize(names_[i], kFont, scale, 1, nullptr).width;
    scale = std::min(scale, scale * static_cast<double>(frame_width_) / std::max(1, written));
    cv::putText(sheet, names_[i], {x, y + static_cast<int>(label_ + letters) / 2}, kFont, scale, kInk, 1, cv::LINE_AA);
    const at::Tensor frame = frames[i].contiguous();
    image_view(frame).copyTo(sheet(
        cv::Rect(x, y + static_cast<int>(label_), static_cast<int>(frame_width_), static_cast<int>(frame_height_))));
  }
  return paper;
}

}  // namespace flashblock
