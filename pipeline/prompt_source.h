// Prompts that are not known when a video begins.
#pragma once

#include <cstdint>
#include <optional>

#include "pipeline/session_inputs.h"

namespace flashblock {

/// Is asked by the render before each frame block, in order, on the thread that denoises.
class PromptSource {
 public:
  virtual ~PromptSource() = default;

  /// The prompt that begins at frame block `block`, in place of any that was planned there; none: it goes on as
  /// planned. Must not wait: the render does nothing meanwhile.
  virtual std::optional<EncodedPrompt> at_block(int64_t block) = 0;
};

}  // namespace flashblock
