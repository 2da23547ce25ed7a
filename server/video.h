// One video that a client of the server asked for: what it is to be, and how far it is.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "settings/render_config.h"

namespace flashblock {

/// A later prompt of a video.
struct VideoPrompt {
  double seconds = 0;  ///< of the video
  std::string text;
  int64_t block = 0;  ///< the first frame block that shows it
};

enum class VideoStatus { kQueued, kInProgress, kCompleted, kFailed, kCancelled };

std::string to_string(VideoStatus status);

/// Whether nothing more will happen to it.
bool is_final(VideoStatus status);

/// How far the render of a video is. Of a finished video, figures are kept on disk.
struct VideoProgress {
  std::string stage;   ///< as RenderObserver names it; empty: not running
  int64_t block = 0;   ///< frame blocks on disk
  int64_t blocks = 0;  ///< of the video; 0: not known yet
  int64_t frames = 0;
  double frames_per_second = 0;
  double eta_seconds = 0;
  std::optional<double> reused_attention;     ///< share of the attentions over earlier blocks that were reused, 0 to 1
  std::optional<std::string> pending_prompt;  ///< asked for, not yet in the video
  std::string prompt_fault;                   ///< why the last prompt was refused; empty: it was not
  bool live = false;                          ///< its segments can be watched
};

struct Video {
  std::string id;            ///< video_ and 24 hexadecimal digits
  int64_t number = 0;        ///< in the order they were asked for
  int64_t created_at = 0;    ///< seconds since 1970
  int64_t completed_at = 0;  ///< the same; 0: not finished
  std::string model;

  std::string prompt;
  std::vector<VideoPrompt> timeline;  ///< as asked for
  std::vector<VideoPrompt> steered;   ///< given while it was rendered, by block; each replaces one at its block
  int64_t width = 0, height = 0;      ///< pixels
  int64_t fps = 0;
  int64_t frames = 0;
  uint64_t seed = 0;

  VideoStatus status = VideoStatus::kQueued;
  std::string error_code, error_message;
  VideoProgress progress;
};

/// The form in which clients see it: OpenAI's video object, and more. `queue_position`: 0 runs, 1 is the next; less:
/// not in the queue.
nlohmann::ordered_json video_object(const Video& video, int64_t queue_position);

/// What is kept on disk of it, and back. Throws: ConfigError for a document that is not one.
nlohmann::ordered_json stored_video(const Video& video);
Video read_stored_video(const nlohmann::ordered_json& document);

/// A new id, from the system's random numbers. Throws: DeviceError.
std::string draw_video_id();
bool is_video_id(const std::string& text);

}  // namespace flashblock
