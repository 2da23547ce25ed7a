// Prompts that are not known when a render begins.
#pragma once

#include <cstdint>
#include <optional>

#include "pipeline/session_inputs.h"

namespace flashblock {

/// Asked by the session before each frame block, in order, on the thread that denoises.
class PromptSource {
 public:
  virtual ~PromptSource() = default;

  /// The prompt that takes effect at frame block `block`, in place of one planned there; none: the video continues as
  /// planned. Must not wait, as denoising waits for it.
  virtual std::optional<LivePrompt> at_block(int64_t block) = 0;
};

}  // namespace flashblock
