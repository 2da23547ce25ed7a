// Tensors that files hold besides the weights of a model.
#pragma once

#include <string_view>

#include "weights/name_layout.h"

namespace flashblock {

/// Whether `name` is known to be no weight of a model with this layout: a tokenizer, a counter of a trainer, a table
/// that follows from the geometry, the half of a language model that a text encoder is without. `name` is the file's,
/// without the prefixes of training wrappers. Everything else that a model does not declare is an error.
bool is_extra_tensor(NameLayout layout, std::string_view name);

}  // namespace flashblock
