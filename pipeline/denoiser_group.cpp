#include "pipeline/denoiser_group.h"

#include <c10/core/InferenceMode.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/check.h"
#include "core/error.h"
#include "core/html_page.h"
#include "core/socket_group.h"

namespace flashblock {
namespace {

using Json = nlohmann::json;

ChannelMessage message(const char* command, Json values = Json::object(), at::Tensor tensor = {}) {
  values["do"] = command;
  return {.text = json_line(values), .tensor = std::move(tensor)};
}

/// Noise that has a seed is drawn by each process.
ChannelMessage message(const char* command, const FrameBlock& block, double timestep, at::Tensor tensor = {},
                       const NoiseSource* noise = nullptr) {
  Json values = {{"index", block.index}, {"start", block.start_frame}, {"frames", block.frames}, {"time", timestep}};
  if (const auto seed = noise ? noise->seed() : std::nullopt) values["seed"] = *seed;
  return message(command, std::move(values), std::move(tensor));
}

FrameBlock block_of(const Json& values) {
  return {.index = values.at("index"), .start_frame = values.at("start"), .frames = values.at("frames")};
}

/// Draws in the leading process, for all of them.
class SentNoise final : public NoiseSource {
 public:
  SentNoise(const NoiseSource& source, const Followers& followers) : source_(source), followers_(followers) {}

  at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const override {
    at::Tensor drawn = source_.noise(frame_block, draw, shape);
    followers_.send(message("noise", Json::object(), drawn));
    return drawn;
  }

 private:
  const NoiseSource& source_;
  const Followers& followers_;
};

class LeadingDenoiser final : public BlockDenoiser {
 public:
  LeadingDenoiser(std::shared_ptr<const VideoTransformer> transformer, const SharedVideo& shared,
                  FrameEncoder encode_frame, std::shared_ptr<const Followers> followers)
      : BlockDenoiser(std::move(transformer), shared.recipe, shared.state, shared.device, shared.dtype,
                      sent_frames(std::move(encode_frame), followers)),
        followers_(std::move(followers)) {}
  ~LeadingDenoiser() override {
    try {
      followers_->send(message("end"));
    } catch (const ProcessLost&) {  // whoever uses the group next learns of it
    }
  }

  void set_prompt(const at::Tensor& embedding) override {
    followers_->send(message("prompt", Json::object(), embedding));
    BlockDenoiser::set_prompt(embedding);
  }
  void set_negative_prompt(const at::Tensor& embedding) override {
    followers_->send(message("negative prompt", Json::object(), embedding));
    BlockDenoiser::set_negative_prompt(embedding);
  }
  void set_first_frames(at::Tensor latents) override {
    followers_->send(message("first frames", Json::object(), latents));
    BlockDenoiser::set_first_frames(std::move(latents));
  }
  void begin_shot() override {
    followers_->send(message("shot"));
    BlockDenoiser::begin_shot();
  }
  at::Tensor denoise(const FrameBlock& block, const NoiseSource& noise, const std::stop_token& stop) override {
    followers_->send(message("denoise", block, 0, {}, &noise));
    with_noise(block, noise, [&](const NoiseSource& its) { latest_ = BlockDenoiser::denoise(block, its, stop); });
    return latest_;
  }
  void clean_pass(const FrameBlock& block, const at::Tensor& latents, double timestep) override {
    FB_CHECK(latents.is_same(latest_), "followers have the latents of the latest block only");
    followers_->send(message("clean pass", block, timestep));
    BlockDenoiser::clean_pass(block, latents, timestep);
  }
  void replay(const FrameBlock& block, const at::Tensor& latents, double timestep, const NoiseSource& noise) override {
    followers_->send(message("replay", block, timestep, latents, &noise));
    with_noise(block, noise, [&](const NoiseSource& its) { BlockDenoiser::replay(block, latents, timestep, its); });
  }
  void commit(const at::Tensor& latents, int64_t start_frame, double timestep) override {
    followers_->send(message("commit", {.start_frame = start_frame}, timestep, latents));
    BlockDenoiser::commit(latents, start_frame, timestep);
  }

 protected:
  bool stopped(const std::stop_token& stop) const override {
    const bool stops = BlockDenoiser::stopped(stop);
    followers_->send(message(stops ? "stop" : "pass"));
    return stops;
  }

 private:
  /// Noise of a seed is drawn by each process; what else there is comes from this one.
  template <typename Work>
  void with_noise(const FrameBlock& block, const NoiseSource& noise, const Work& work) {
    if (noise.seed())
      work(NoiseAhead(noise, draws_of(block)));
    else
      work(SentNoise(noise, *followers_));
  }

  static FrameEncoder sent_frames(FrameEncoder encode, const std::shared_ptr<const Followers>& followers) {
    if (!encode) return {};
    return [encode = std::move(encode), followers](int64_t latent_frame) {
      at::Tensor encoded = encode(latent_frame);
      followers->send(message("frame", Json::object(), encoded));
      return encoded;
    };
  }

  std::shared_ptr<const Followers> followers_;
  at::Tensor latest_;
};

/// What the leading process sends, in order.
class Commands {
 public:
  explicit Commands(MessageChannel& leader) : leader_(leader) {}

  /// Reads the next command. Throws: DeviceError if there is no leading process any more.
  void read() {
    auto message = leader_.receive();
    if (!message) throw DeviceError("the leading process has ended");
    values_ = Json::parse(message->text);
    tensor_ = std::move(message->tensor);
  }
  const std::string& name() const { return values_.at("do").get_ref<const std::string&>(); }
  FrameBlock block() const { return block_of(values_); }
  double timestep() const { return values_.at("time"); }
  std::optional<uint64_t> seed() const {
    const auto found = values_.find("seed");
    if (found == values_.end()) return {};
    return found->get<uint64_t>();
  }
  const at::Tensor& tensor() const { return tensor_; }

  /// The tensor of the next command, which is `name`.
  at::Tensor expect(const char* name) {
    read();
    FB_CHECK(this->name() == name, "'", this->name(), "' in place of '", name, "'");
    return tensor_;
  }

 private:
  MessageChannel& leader_;
  Json values_;
  at::Tensor tensor_;
};

class ReceivedNoise final : public NoiseSource {
 public:
  explicit ReceivedNoise(Commands& commands) : commands_(commands) {}

  at::Tensor noise(int64_t, int64_t, at::IntArrayRef shape) const override {
    at::Tensor drawn = commands_.expect("noise");
    FB_CHECK(drawn.sizes() == shape, "noise ", drawn.sizes(), ", wanted ", shape);
    return drawn;
  }

 private:
  Commands& commands_;
};

class FollowingDenoiser final : public BlockDenoiser {
 public:
  FollowingDenoiser(std::shared_ptr<const VideoTransformer> transformer, const SharedVideo& shared, Commands& commands)
      : BlockDenoiser(std::move(transformer), shared.recipe, shared.state, shared.device, shared.dtype,
                      [&commands](int64_t) { return commands.expect("frame"); }),
        commands_(commands) {}

  /// Calls `work` with the noise of the latest command.
  template <typename Work>
  void with_noise(const Work& work) const {
    if (const auto seed = commands_.seed()) {
      const SeededNoise drawn(*seed);
      work(NoiseAhead(drawn, draws_of(commands_.block())));
    } else {
      work(ReceivedNoise(commands_));
    }
  }

 protected:
  bool stopped(const std::stop_token&) const override {
    commands_.read();
    FB_CHECK(commands_.name() == "pass" || commands_.name() == "stop", commands_.name());
    return commands_.name() == "stop";
  }

 private:
  Commands& commands_;
};

}  // namespace

void Followers::send(const ChannelMessage& message) const {
  ChannelMessage on_host = message;
  if (on_host.tensor.defined()) on_host.tensor = on_host.tensor.cpu();  // once for all
  for (size_t i = 0; i < channels_.size(); ++i) {
    if (!channels_[i]->send(on_host))
      throw ProcessLost(static_cast<int64_t>(i) + 1, lost_process_text("device " + std::to_string(i + 1)));
  }
}

std::unique_ptr<BlockDenoiser> make_leading_denoiser(std::shared_ptr<const VideoTransformer> transformer,
                                                     const SharedVideo& shared, FrameEncoder encode_frame,
                                                     std::shared_ptr<const Followers> followers) {
  followers->send(message(kBeginVideo, {{"max_frames", shared.state.max_frames}}));
  return std::make_unique<LeadingDenoiser>(std::move(transformer), shared, std::move(encode_frame),
                                           std::move(followers));
}

void follow_video(MessageChannel& leader, std::shared_ptr<const VideoTransformer> transformer,
                  const SharedVideo& shared) {
  const c10::InferenceMode no_gradients;
  Commands commands(leader);
  FollowingDenoiser denoiser(std::move(transformer), shared, commands);
  at::Tensor latest;
  for (commands.read(); commands.name() != "end"; commands.read()) {
    const std::string& command = commands.name();
    if (command == "prompt") {
      denoiser.set_prompt(commands.tensor());
    } else if (command == "negative prompt") {
      denoiser.set_negative_prompt(commands.tensor());
    } else if (command == "first frames") {
      denoiser.set_first_frames(commands.tensor().to(shared.device));
    } else if (command == "shot") {
      denoiser.begin_shot();
    } else if (command == "denoise") {
      const FrameBlock block = commands.block();
      denoiser.with_noise([&](const NoiseSource& noise) { latest = denoiser.denoise(block, noise, {}); });
    } else if (command == "clean pass") {
      denoiser.clean_pass(commands.block(), latest, commands.timestep());
    } else if (command == "replay") {
      const FrameBlock block = commands.block();
      const at::Tensor latents = commands.tensor().to(shared.device);
      const double timestep = commands.timestep();
      denoiser.with_noise([&](const NoiseSource& noise) { denoiser.replay(block, latents, timestep, noise); });
    } else if (command == "commit") {
      denoiser.commit(commands.tensor().to(shared.device), commands.block().start_frame, commands.timestep());
    } else {
      FB_CHECK(false, "unknown command '", command, "'");
    }
  }
}

}  // namespace flashblock
