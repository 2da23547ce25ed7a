// A video that a client of the server requested, and the state of its render.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "settings/render_config.h"

namespace flashblock {

/// A later prompt of a video.
struct VideoPrompt {
  double seconds = 0;  ///< of the video
  std::string text;
  int64_t block = 0;  ///< the first frame block rendered with it
  bool shot = false;  ///< a shot begins there
};

enum class VideoStatus { kQueued, kInProgress, kCompleted, kFailed, kCancelled };

std::string to_string(VideoStatus status);

/// Whether the video is completed, failed or cancelled.
bool is_final(VideoStatus status);

/// Why a video that was begun is not being rendered: a failure that passes.
struct Hold {
  std::string code;     ///< for programs: disk_full, device_error or out_of_memory
  std::string message;  ///< for people; names no file of the server

  bool operator==(const Hold&) const = default;
};

/// Progress of a render. For a finished video it is stored on disk.
struct VideoProgress {
  std::string stage;   ///< as in RenderObserver; empty: not running
  int64_t block = 0;   ///< frame blocks written
  int64_t blocks = 0;  ///< of the video; 0: not known yet
  int64_t frames = 0;
  std::optional<double> frames_per_second;    ///< none: not known
  std::optional<double> eta_seconds;          ///< none: not known, or not running
  std::optional<Hold> hold;                   ///< why it waits
  std::optional<double> reused_attention;     ///< share of external attention states that were reused, 0 to 1
  std::optional<std::string> pending_prompt;  ///< requested, not yet in effect
  std::string prompt_fault;                   ///< why the last prompt was rejected; empty: it was not
  bool live = false;                          ///< the stream has segments
};

struct Video {
  std::string id;            ///< video_ and 24 hexadecimal digits
  int64_t number = 0;        ///< in the order of the requests
  int64_t created_at = 0;    ///< seconds since 1970
  int64_t completed_at = 0;  ///< the same; 0: not finished
  std::string model;

  std::string wish;  ///< what a language model has written prompt and timeline from; empty: none has
  std::string prompt;
  std::vector<VideoPrompt> timeline;  ///< as requested, or as written
  std::vector<VideoPrompt>
      steered;  ///< prompts sent during the render, by block; each replaces a timeline prompt at its block
  int64_t width = 0, height = 0;  ///< pixels
  int64_t fps = 0;
  int64_t frames = 0;
  uint64_t seed = 0;
  std::vector<std::string> choices;   ///< as RenderSetup has them
  std::vector<std::string> warnings;  ///< of its prompts, as RenderSetup has them
  nlohmann::ordered_json truncated_prompts = nlohmann::ordered_json::array();  ///< as truncation_json() writes them

  VideoStatus status = VideoStatus::kQueued;
  std::string error_code, error_message;
  VideoProgress progress;
};

/// Marks a video as finished, now, with a final status.
void end_video(Video& video, VideoStatus status);

/// The video as clients see it: OpenAI's video object with more keys. `queue_position`: 0 running, 1 next; negative:
/// not queued. `query`: what its addresses end with (AddressSigner).
nlohmann::ordered_json video_object(const Video& video, int64_t queue_position, const std::string& query = "");

/// The prompt of its first frame block: one that was sent before it replaces the original one.
const std::string& first_prompt(const Video& video);

/// Whether frames of the video can be watched as a file.
bool has_content(const Video& video);

/// Converts to and from the JSON stored on disk. Throws: ConfigError for another document.
nlohmann::ordered_json stored_video(const Video& video);
Video read_stored_video(const nlohmann::ordered_json& document);

/// A new random id. Throws: DeviceError.
std::string draw_video_id();
bool is_video_id(const std::string& text);

}  // namespace flashblock
