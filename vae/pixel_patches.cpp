#include "vae/pixel_patches.h"

#include "core/check.h"

namespace flashblock {

at::Tensor pixels_of_planes(const at::Tensor& planes, PlaneOrder order) {
  FB_CHECK(planes.dim() == 4 && planes.size(1) % 4 == 0, "planes ", planes.sizes());
  const int64_t frames = planes.size(0), colours = planes.size(1) / 4, rows = planes.size(2), columns = planes.size(3);
  const at::Tensor places = planes.view({frames, colours, 2, 2, rows, columns});
  const bool rows_first = order == PlaneOrder::kRowsFirst;
  return (rows_first ? places.permute({0, 1, 4, 2, 5, 3}) : places.permute({0, 1, 4, 3, 5, 2}))
      .reshape({frames, colours, 2 * rows, 2 * columns});
}

at::Tensor planes_of_frames(const at::Tensor& frames, PlaneOrder order) {
  FB_CHECK(frames.dim() == 4 && frames.size(1) % 2 == 0 && frames.size(2) % 2 == 0, "frames ", frames.sizes());
  const int64_t count = frames.size(0), rows = frames.size(1) / 2, columns = frames.size(2) / 2,
                colours = frames.size(3);
  const at::Tensor places = frames.view({count, rows, 2, columns, 2, colours});
  const bool rows_first = order == PlaneOrder::kRowsFirst;
  return (rows_first ? places.permute({0, 1, 3, 5, 2, 4}) : places.permute({0, 1, 3, 5, 4, 2}))
      .reshape({count, rows, columns, 4 * colours});
}

}  // namespace flashblock
