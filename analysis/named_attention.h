// A way to compute attention, as analyses compare several of them.
#pragma once

#include <string>

#include "attention/attention_config.h"

namespace flashblock {

struct NamedAttention {
  std::string name;
  AttentionConfig attention;
};

}  // namespace flashblock
