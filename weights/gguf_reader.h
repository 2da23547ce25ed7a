// Reads GGUF files, the container of llama.cpp, as converters write video models and text encoders.
#pragma once

#include <memory>

#include "core/mapped_file.h"
#include "weights/safetensors_reader.h"

namespace flashblock {

/// Reads the header and creates one view per tensor; packed types (gguf_blocks.h) are unpacked to float32 each time
/// they are read. Metadata strings are kept, other metadata only as far as the shapes need it
/// (`comfy.gguf.orig_shape.NAME`). Tensors have up to five dimensions.
/// Throws: WeightsError with file, tensor and remedy for other versions than 2 and 3, a header or data outside the
/// file, types that are not supported, duplicate names and anything else that the format does not define. Source:
/// ggml-org/ggml `docs/gguf.md`; city96/ComfyUI-GGUF `tools/convert.py`.
ContainerContents read_gguf(const std::shared_ptr<const MappedFile>& file);

}  // namespace flashblock
