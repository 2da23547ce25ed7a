#include "analysis/side_by_side.h"

#include <ATen/ops/stack.h>

#include "core/check.h"
#include "media/frame_grid.h"

namespace flashblock {

at::Tensor thumbnail_at(const MeasuredRun& run, int64_t frame) {
  for (size_t i = 0; i < run.blocks.size(); ++i) {
    const int64_t offset = frame - run.blocks[i].first_frame;
    if (offset >= 0 && offset < run.blocks[i].frames) return run.thumbnails[i][offset];
  }
  FB_CHECK(false, "no frame ", frame);
  return {};
}

namespace {

FrameGrid grid_of(const Fidelity& fidelity) {
  std::vector<std::string> names;
  for (const MeasuredRun& measured : fidelity.runs) names.push_back(measured.run.name);
  const at::Tensor& first = fidelity.runs.front().thumbnails.front();
  return {std::move(names), first.size(2), first.size(1)};
}

}  // namespace

at::Tensor side_by_side_frame(const Fidelity& fidelity, int64_t frame) {
  std::vector<at::Tensor> row;
  for (const MeasuredRun& measured : fidelity.runs) row.push_back(thumbnail_at(measured, frame));
  return grid_of(fidelity).draw(row);
}

void write_side_by_side(const Fidelity& fidelity, const std::filesystem::path& video, VideoFormat format,
                        ExistingVideo existing, const std::map<std::string, std::string>& tags) {
  const MeasuredRun& exact = fidelity.runs.front();
  const FrameGrid grid = grid_of(fidelity);
  format.width = grid.width();
  format.height = grid.height();
  VideoWriter writer(video, format, existing);
  for (size_t block = 0; block < exact.blocks.size(); ++block) {
    std::vector<at::Tensor> sheets;
    for (int64_t frame = 0; frame < exact.blocks[block].frames; ++frame) {
      std::vector<at::Tensor> row;
      for (const MeasuredRun& measured : fidelity.runs) row.push_back(measured.thumbnails[block][frame]);
      sheets.push_back(grid.draw(row));
    }
    writer.write(at::stack(sheets));
  }
  writer.join(tags);
  writer.remove_parts();
}

}  // namespace flashblock
