#include "pipeline/context_rule.h"

namespace flashblock::context {

const ContextRule& window() {
  static const ContextRule rule({.name = "window", .help = "window and sink alone"});
  return rule;
}

}  // namespace flashblock::context
