// One video denoised by a group of processes: the leading one commands, the others follow.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/message_channel.h"
#include "core/process_group.h"
#include "pipeline/block_denoiser.h"

namespace flashblock {

/// The other processes of a group, as the leading one, of rank 0, sees them.
class Followers {
 public:
  Followers(std::shared_ptr<const ProcessGroup> group, std::vector<std::shared_ptr<MessageChannel>> channels)
      : group_(std::move(group)), channels_(std::move(channels)) {}

  const std::shared_ptr<const ProcessGroup>& group() const { return group_; }
  /// Throws: ProcessLost.
  void send(const ChannelMessage& message) const;

 private:
  std::shared_ptr<const ProcessGroup> group_;
  std::vector<std::shared_ptr<MessageChannel>> channels_;  ///< to ranks 1, 2, ...
};

/// A video that all processes of a group denoise.
struct SharedVideo {
  Recipe recipe;
  TransformerStateOptions state;  ///< with the group
  at::Device device = at::kCPU;   ///< of this process
  at::ScalarType dtype = at::kFloat;
};

/// The denoiser of the leading process. Each call is sent to the followers, which run the same code on their tokens and
/// heads; start, embeddings, the decision to stop, and random numbers that have no seed are this process's. The others
/// have the same latents, since they compute them from the same flow. The host does not wait for them. `shared`.device
/// and the group are those of `followers`' leader.
std::unique_ptr<BlockDenoiser> make_leading_denoiser(std::shared_ptr<const VideoTransformer> transformer,
                                                     const SharedVideo& shared, FrameEncoder encode_frame,
                                                     std::shared_ptr<const Followers> followers);

/// The text that begins a video of at most `max_frames` latent frames; what follows is for follow_video.
inline constexpr const char* kBeginVideo = "video";

/// Computes this process's part of one video: what the leading denoiser of the same video sends, until that ends.
/// Throws: DeviceError if the leading process has ended.
void follow_video(MessageChannel& leader, std::shared_ptr<const VideoTransformer> transformer,
                  const SharedVideo& shared);

}  // namespace flashblock
