// The zip archives that torch.save writes: a pickle of the object and one record per tensor storage.
#pragma once

#include <memory>
#include <vector>

#include "core/mapped_file.h"
#include "weights/checkpoint_files.h"

namespace flashblock {

/// Reads the object graph with a restricted unpickler, in which nothing from the file is executed, and returns every
/// dictionary that holds tensors directly, in the file's order. Tensors are views into the mapped file.
/// Throws: WeightsError naming the file, what is wrong and what to do.
std::vector<TensorSet> read_torch_archive(const std::shared_ptr<const MappedFile>& file);

}  // namespace flashblock
