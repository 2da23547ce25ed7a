#include "pipeline/context_rule.h"

#include <algorithm>

#include "core/unknown_name.h"

namespace flashblock {

std::vector<const ContextRule*> built_in_context_rules();  // generated from pipeline/CMakeLists.txt

void VideoContext::add(const FrameBlock& block, const at::Tensor& latents, double timestep,
                       const RuledContext& context) {
  context.transformer.forward(latents, timestep, block.start_frame, Pass::clean(), context.state);
}

bool ContextRule::reads(std::string_view key) const {
  return std::find(text_.keys.begin(), text_.keys.end(), key) != text_.keys.end();
}

std::unique_ptr<VideoContext> ContextRule::begin(const Recipe&, TransformerState&, const FrameEncoder&) const {
  return std::make_unique<VideoContext>();
}

const std::vector<const ContextRule*>& context_rules() {
  static const std::vector<const ContextRule*> rules = built_in_context_rules();
  return rules;
}

ContextRuleRef::ContextRuleRef(std::string_view name) {
  std::string names;
  for (const ContextRule* rule : context_rules()) {
    if (rule->text().name == name) rule_ = rule;
    names += (names.empty() ? "" : ", ") + std::string(rule->text().name);
  }
  if (!rule_) throw unknown_name("context rule", name, names);
}

ContextRuleRef parse_context_rule(std::string_view name) { return name; }
std::string to_string(ContextRuleRef rule) { return std::string(rule->text().name); }

TransformerStateOptions state_options(const Recipe& recipe, const VideoGeometry& geometry, int64_t max_frames,
                                      const AttentionConfig& attention) {
  return {.geometry = geometry,
          .frames_per_block = recipe.frames_per_block,
          .window_frames = recipe.window_frames,
          .sink_frames = recipe.sink_frames,
          .max_frames = max_frames,
          .position_frames = recipe.position_frames,
          .shot_offset_frames = recipe.shot_offset_frames,
          .bank_frames = recipe.context_rule->bank_frames(recipe),
          .attention = attention};
}

}  // namespace flashblock
