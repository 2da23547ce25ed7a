#include "pipeline/recording.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>

#include "core/check.h"
#include "core/error.h"
#include "weights/tensor_file.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

/// The tensor that holds a draw.
std::string draw_name(int64_t frame_block, int64_t draw) {
  return draw == 0 ? "noise" : "renoise." + std::to_string(frame_block) + "." + std::to_string(draw - 1);
}

/// Records all draws of another source.
class RecordingNoise : public NoiseSource {
 public:
  RecordingNoise(std::shared_ptr<const NoiseSource> source, std::shared_ptr<NoiseDraws> draws)
      : source_(std::move(source)), draws_(std::move(draws)) {}

  at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const override {
    at::Tensor drawn = source_->noise(frame_block, draw, shape);
    (*draws_)[{frame_block, draw}] = drawn;
    return drawn;
  }
  std::optional<uint64_t> seed() const override { return source_->seed(); }

 private:
  std::shared_ptr<const NoiseSource> source_;
  std::shared_ptr<NoiseDraws> draws_;
};

/// Returns the draws of a recording.
class RecordedNoise : public NoiseSource {
 public:
  RecordedNoise(std::filesystem::path file, at::Tensor noise, NoiseDraws renoise,
                std::shared_ptr<const NoiseSource> otherwise)
      : file_(std::move(file)),
        noise_(std::move(noise)),
        renoise_(std::move(renoise)),
        otherwise_(std::move(otherwise)) {}

  at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const override {
    const bool recorded = draw == 0 ? noise_.defined() : !renoise_.empty();
    if (!recorded) return otherwise_->noise(frame_block, draw, shape);
    const at::Tensor found = draw == 0 ? initial(frame_block, shape[1]) : renoise(frame_block, draw);
    if (found.sizes() != shape) {
      throw ConfigError(file_.string() + ": " + draw_name(frame_block, draw) + " has shape " + c10::str(found.sizes()) +
                        ", wanted " + c10::str(shape) + ": the recording is of another model or size");
    }
    return found.to(at::kFloat).contiguous();
  }

 private:
  at::Tensor initial(int64_t frame_block, int64_t frames) const {
    const int64_t lead = noise_.size(1) % frames;  // a first frame that is a separate block
    const int64_t begin = lead > 0 && frame_block > 0 ? lead + (frame_block - 1) * frames : frame_block * frames;
    FB_CHECK(begin + frames <= noise_.size(1), "the video is longer than its noise");
    return noise_.narrow(1, begin, frames);
  }

  at::Tensor renoise(int64_t frame_block, int64_t draw) const {
    const auto found = renoise_.find({frame_block, draw});
    if (found != renoise_.end()) return found->second;
    throw ConfigError(file_.string() + ": " + draw_name(frame_block, draw) +
                      " is missing: the recording is of a shorter video or has fewer steps");
  }

  std::filesystem::path file_;
  at::Tensor noise_;
  NoiseDraws renoise_;
  std::shared_ptr<const NoiseSource> otherwise_;
};

std::string at_block(const std::string& name, int64_t block) {
  return block == 0 ? name : name + "." + std::to_string(block);
}

/// Removes a number and a following `.` from the front of `text`; nullopt if there is no number.
std::optional<int64_t> take_number(std::string_view& text) {
  int64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || number < 0) return {};
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (text.starts_with('.')) text.remove_prefix(1);
  return number;
}

}  // namespace

std::shared_ptr<const NoiseSource> Recorder::record_noise(std::shared_ptr<const NoiseSource> source) {
  return std::make_shared<RecordingNoise>(std::move(source), draws_);
}

void Recorder::add(const RenderedBlock& block) {
  FB_CHECK(block.pixels.defined());
  latents_.push_back(block.latents.cpu());
  video_.push_back(block.pixels.cpu().to(at::kHalf));
}

void Recorder::write(const std::filesystem::path& file, const SessionInputs& inputs,
                     const std::map<std::string, std::string>& metadata) const {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  const auto put = [&](const std::string& name, const at::Tensor& tensor) {
    if (tensor.defined()) tensors.emplace_back(name, tensor.cpu().contiguous());
  };
  if (!inputs.shots.empty()) put("shots", at::tensor(inputs.shots, at::kLong));
  for (const EncodedPrompt& prompt : inputs.prompts) {
    put(at_block("ids", prompt.first_block), prompt.ids);
    put(at_block("mask", prompt.first_block), prompt.mask);
    put(at_block("prompt_embeds", prompt.first_block), prompt.embedding);
  }
  put("negative_prompt_embeds", inputs.negative_embedding);
  put("initial_latent", inputs.initial_latents);
  std::vector<at::Tensor> noise;
  for (const auto& [position, drawn] : *draws_) {
    const auto [block, draw] = position;
    if (draw == 0) noise.push_back(drawn);
    if (draw > 0) put(draw_name(block, draw), drawn);
  }
  put("noise", at::cat(noise, 1));
  put("latents", at::cat(latents_, 1));
  put("video", at::cat(video_, 0).unsqueeze(0));
  write_tensor_file(file, tensors, metadata);
}

Replay::Replay(const std::filesystem::path& file) : file_(file) {
  std::shared_ptr<const WeightStore> store;
  try {
    store = WeightStore::open(file);
  } catch (const WeightsError& error) {
    const std::string what = error.what();  // as of weights; a recording was not downloaded
    throw ConfigError("cannot replay: " + what.substr(0, what.find(": download it again")));
  }
  read_prompts(*store);
  read_renoise(*store);
  read_shots(*store);
  if (store->contains("negative_prompt_embeds")) negative_embedding_ = read(*store, "negative_prompt_embeds", 3);
  if (store->contains("initial_latent")) initial_latents_ = read(*store, "initial_latent", 5);
  if (store->contains("noise")) noise_ = read(*store, "noise", 5);
  if (prompts_.empty() && renoise_.empty() && !initial_latents_.defined() && !noise_.defined()) {
    throw ConfigError(file.string() +
                      " contains no inputs of a video: wanted some of ids, mask, prompt_embeds, noise, "
                      "renoise.<block>.<step>, initial_latent");
  }
}

at::Tensor Replay::read(const WeightStore& store, const std::string& name, int64_t rank) const {
  const auto refuse = [&](const std::string& problem) {
    throw ConfigError(file_.string() + ": " + name + " " + problem);
  };
  at::Tensor tensor = store.tensor(name);
  if (tensor.dim() != rank || tensor.size(0) != 1 || tensor.numel() == 0) {
    refuse("has shape " + c10::str(tensor.sizes()) + ", wanted " + std::to_string(rank) +
           " dimensions of which the first is 1");
  }
  const bool whole_numbers = rank == 2;
  if (tensor.is_floating_point() == whole_numbers) {
    refuse(std::string("has dtype ") + c10::toString(tensor.scalar_type()) + ", wanted " +
           (whole_numbers ? "int64" : "a floating-point dtype"));
  }
  if (!whole_numbers && !tensor.isfinite().all().item<bool>()) refuse("contains values that are not finite");
  return whole_numbers ? tensor.to(at::kLong) : tensor;
}

void Replay::read_prompts(const WeightStore& store) {
  std::map<int64_t, EncodedPrompt> by_block;
  for (const std::string& name : store.names()) {
    std::string_view rest = name;
    const std::string kind(rest.substr(0, rest.find('.')));
    rest.remove_prefix(std::min(rest.size(), kind.size() + 1));
    if (kind != "ids" && kind != "mask" && kind != "prompt_embeds") continue;
    const int64_t block = name == kind ? 0 : take_number(rest).value_or(-1);
    if (block < 0 || !rest.empty()) {
      throw ConfigError(file_.string() + ": " + name + " is not a name of a recording: wanted " + kind + " or " + kind +
                        ".<block>");
    }
    EncodedPrompt& prompt = by_block[block];
    prompt.first_block = block;
    (kind == "ids"    ? prompt.ids
     : kind == "mask" ? prompt.mask
                      : prompt.embedding) = read(store, name, kind == "prompt_embeds" ? 3 : 2);
  }
  for (const auto& [block, prompt] : by_block) {
    const bool ids_fit = prompt.ids.defined() == prompt.mask.defined() &&
                         (!prompt.ids.defined() || prompt.ids.sizes() == prompt.mask.sizes());
    if (!ids_fit) throw ConfigError(file_.string() + ": ids and mask must both exist, with the same shape");
    prompts_.push_back(prompt);
  }
  if (!prompts_.empty() && prompts_.front().first_block != 0) {
    throw ConfigError(file_.string() + ": the first prompt is for frame block " +
                      std::to_string(prompts_.front().first_block) + ", wanted ids and mask, or prompt_embeds");
  }
}

void Replay::read_renoise(const WeightStore& store) {
  for (const std::string& name : store.names()) {
    std::string_view rest = name;
    if (!rest.starts_with("renoise.")) continue;
    rest.remove_prefix(std::string_view("renoise.").size());
    const std::optional<int64_t> block = take_number(rest);
    const std::optional<int64_t> step = take_number(rest);
    if (!block || !step || !rest.empty()) {
      throw ConfigError(file_.string() + ": " + name + " is not a name of a recording: wanted renoise.<block>.<step>");
    }
    renoise_[{*block, *step + 1}] = read(store, name, 5);
  }
}

void Replay::read_shots(const WeightStore& store) {
  if (!store.contains("shots")) return;
  const at::Tensor blocks = store.tensor("shots");
  const bool numbers = blocks.dim() == 1 && blocks.scalar_type() == at::kLong;
  if (numbers) shots_.assign(blocks.const_data_ptr<int64_t>(), blocks.const_data_ptr<int64_t>() + blocks.numel());
  const bool rising = std::adjacent_find(shots_.begin(), shots_.end(), std::greater_equal<>()) == shots_.end();
  if (numbers && rising && (shots_.empty() || shots_.front() > 0)) return;
  throw ConfigError(file_.string() + ": shots is not a rising list [n] int64 of frame blocks after the first");
}

void Replay::check_shape(const std::string& name, const at::Tensor& tensor, const std::vector<int64_t>& wanted) const {
  if (!tensor.defined() || tensor.sizes() == wanted) return;
  throw ConfigError(file_.string() + ": " + name + " has shape " + c10::str(tensor.sizes()) + ", wanted " +
                        c10::str(at::IntArrayRef(wanted)) + ": the recording is of another model or size",
                    {.key = "replay"});
}

void Replay::check_text(const std::string& name, const at::Tensor& tensor, const TransformerConfig& model) const {
  if (!tensor.defined()) return;
  const bool fits = tensor.size(1) <= model.text_len && (tensor.dim() == 2 || tensor.size(2) == model.text_dim);
  if (!fits)
    throw ConfigError(file_.string() + ": " + name + " has shape " + c10::str(tensor.sizes()) + ", wanted [1, " +
                          std::to_string(model.text_len) + (tensor.dim() == 2 ? "" : ", ") +
                          (tensor.dim() == 2 ? "" : std::to_string(model.text_dim)) +
                          "] or shorter: the recording is of another model",
                      {.key = "replay"});
  if (tensor.dim() == 2 &&
      (name.starts_with("mask") ? tensor.ne(0).logical_and(tensor.ne(1)) : tensor.lt(0)).any().item<bool>())
    throw ConfigError(file_.string() + ": " + name + " has other numbers than " +
                          (name.starts_with("mask") ? "0 and 1" : "0 and above"),
                      {.key = "replay"});
}

void Replay::check_renoise(const VideoPlan& plan, const VideoGeometry& geometry, const TransformerConfig& model,
                           const Recipe& recipe) const {
  if (renoise_.empty() || recipe.unipc_steps > 0) return;
  for (int64_t index = 0; index < plan.blocks; ++index) {
    const FrameBlock block = plan.block(index);
    const bool first_steps = block.start_frame == 0 && !recipe.first_steps.empty();
    const auto steps = std::ssize(first_steps ? recipe.first_steps : recipe.steps);
    for (int64_t draw = 1; draw < steps; ++draw) {
      const auto found = renoise_.find({index, draw});
      if (found == renoise_.end())
        throw ConfigError(file_.string() + ": " + draw_name(index, draw) +
                              " is missing: the recording is of a shorter video or has fewer steps",
                          {.key = "replay"});
      check_shape(draw_name(index, draw), found->second,
                  {1, block.frames, model.in_channels, geometry.latent_height(), geometry.latent_width()});
    }
  }
}

void Replay::check_fits(const VideoPlan& plan, const VideoGeometry& geometry, const TransformerConfig& model,
                        const Recipe& recipe) const {
  const auto latents = [&](const char* name, const at::Tensor& tensor) {
    if (tensor.defined())
      check_shape(name, tensor,
                  {1, tensor.size(1), model.in_channels, geometry.latent_height(), geometry.latent_width()});
  };
  latents("noise", noise_);
  latents("initial_latent", initial_latents_);
  check_renoise(plan, geometry, model, recipe);
  for (const EncodedPrompt& prompt : prompts_) {
    check_text(at_block("ids", prompt.first_block), prompt.ids, model);
    check_text(at_block("mask", prompt.first_block), prompt.mask, model);
    check_text(at_block("prompt_embeds", prompt.first_block), prompt.embedding, model);
  }
  check_text("negative_prompt_embeds", negative_embedding_, model);
}

std::shared_ptr<const NoiseSource> Replay::noise_source(std::shared_ptr<const NoiseSource> otherwise) const {
  return std::make_shared<RecordedNoise>(file_, noise_, renoise_, std::move(otherwise));
}

}  // namespace flashblock
