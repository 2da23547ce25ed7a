#include "app/batch/film_preview.h"

#include <ATen/ops/cat.h>

#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "media/jpeg_encoder.h"
#include "media/picture_grid.h"
#include "media/video_reader.h"

namespace flashblock {
namespace {

constexpr int64_t kWidth = 256;  // pixels of one picture
constexpr int kQuantizer = 6;    // of 1 to 31: small files, for pages with many films

/// Evenly spaced pictures. Shape: each [1, H, W, 3] uint8.
std::vector<at::Tensor> pick_pictures(const std::filesystem::path& film, int64_t pictures) {
  std::vector<at::Tensor> picked;
  VideoReader reader(film);
  VideoFrame frame;
  for (int64_t index = 0; reader.next(frame); ++index) {
    // A short film shows some pictures more than once, so that every preview has the same layout.
    for (;;) {
      const auto next = static_cast<int64_t>(picked.size());
      if (next == kPreviewPictures || next * pictures / kPreviewPictures > index) break;
      picked.push_back(shrink_pictures(frame.rgb.unsqueeze(0), kWidth));
    }
  }
  return picked;
}

}  // namespace

void write_film_preview(const std::filesystem::path& film, int64_t pictures, const std::filesystem::path& file) {
  try {
    const std::vector<at::Tensor> picked = pick_pictures(film, pictures);
    if (picked.size() != static_cast<size_t>(kPreviewPictures)) return;
    write_file_atomically(file, encode_jpeg(at::cat(picked, /*dim=*/2)[0].contiguous(), kQuantizer));
  } catch (const MediaError&) {  // the film is what counts; the report shows a blank
  }
}

}  // namespace flashblock
