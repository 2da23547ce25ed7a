// Reads the zip archives of torch.save: a pickle of the object and one record per tensor storage.
#pragma once

#include <memory>
#include <vector>

#include "core/mapped_file.h"
#include "weights/checkpoint_files.h"

namespace flashblock {

/// Reads the object graph with a restricted unpickler, which executes nothing from the file, and returns every
/// dictionary with tensors among its values, in the file's order. Tensors are views into the mapped file.
/// Throws: WeightsError with the file, the problem and the remedy.
std::vector<TensorSet> read_torch_archive(const std::shared_ptr<const MappedFile>& file);

}  // namespace flashblock
