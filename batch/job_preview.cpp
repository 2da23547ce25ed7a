#include "batch/job_preview.h"

#include <ATen/ops/cat.h>

#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "media/frame_grid.h"
#include "media/jpeg_encoder.h"
#include "media/video_reader.h"

namespace flashblock {
namespace {

constexpr int64_t kWidth = 256;  // pixels of one frame
constexpr int kQuantizer = 6;    // 1 to 31; small files, for pages with many videos

/// Evenly spaced frames. Shape: each [1, H, W, 3] uint8.
std::vector<at::Tensor> pick_frames(const std::filesystem::path& video, int64_t frames) {
  std::vector<at::Tensor> picked;
  VideoReader reader(video);
  VideoFrame frame;
  for (int64_t index = 0; reader.next(frame); ++index) {
    // A short video repeats frames, so that every preview has the same layout.
    while (std::ssize(picked) < kPreviewFrames && std::ssize(picked) * frames / kPreviewFrames <= index) {
      picked.push_back(shrink_frames(frame.rgb.unsqueeze(0), kWidth));
    }
  }
  return picked;
}

}  // namespace

void write_video_preview(const std::filesystem::path& video, int64_t frames, const std::filesystem::path& file) {
  try {
    const std::vector<at::Tensor> picked = pick_frames(video, frames);
    if (picked.size() != static_cast<size_t>(kPreviewFrames)) return;
    write_file_atomically(file, encode_jpeg(at::cat(picked, /*dim=*/2)[0].contiguous(), kQuantizer));
  } catch (const MediaError&) {  // the preview is optional: the report shows a blank
  }
}

}  // namespace flashblock
