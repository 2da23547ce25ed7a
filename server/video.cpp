#include "server/video.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "server/request_guard.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kIdDigits = 24;
constexpr std::string_view kIdPrefix = "video_";

constexpr std::array<const char*, 5> kStatusNames = {"queued", "in_progress", "completed", "failed", "cancelled"};

VideoStatus parse_status(const std::string& name) {
  for (size_t i = 0; i < kStatusNames.size(); ++i) {
    if (name == kStatusNames[i]) return static_cast<VideoStatus>(i);
  }
  throw ConfigError("unknown status '" + name + "'");
}

/// The shortest decimal form of a number: 5, 2.5.
std::string number_text(double value) {
  std::array<char, 32> text;
  return std::string(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

double seconds_of(const Video& video) {
  return video.fps == 0 ? 0 : static_cast<double>(video.frames) / static_cast<double>(video.fps);
}

int64_t percent(const Video& video) {
  if (video.status == VideoStatus::kCompleted) return 100;
  if (video.progress.blocks == 0) return 0;
  return std::min<int64_t>(99, 100 * video.progress.block / video.progress.blocks);
}

Json prompt_list(const std::vector<VideoPrompt>& prompts) {
  Json list = Json::array();
  for (const VideoPrompt& prompt : prompts) {
    list.push_back({{"at", prompt.seconds}, {"prompt", prompt.text}, {"block", prompt.block}});
  }
  return list;
}

std::vector<VideoPrompt> read_prompt_list(const Json& list) {
  std::vector<VideoPrompt> prompts;
  for (const Json& entry : list) {
    prompts.push_back({.seconds = entry.at("at"), .text = entry.at("prompt"), .block = entry.at("block")});
  }
  return prompts;
}

/// The prompts in effect: those sent during the render replace those requested with the video.
std::vector<VideoPrompt> resulting_timeline(const Video& video) {
  std::map<int64_t, VideoPrompt> by_block;
  for (const VideoPrompt& prompt : video.timeline) by_block[prompt.block] = prompt;
  for (const VideoPrompt& prompt : video.steered) by_block[prompt.block] = prompt;
  std::vector<VideoPrompt> prompts;
  for (const auto& [block, prompt] : by_block) {
    if (block > 0) prompts.push_back(prompt);
  }
  return prompts;
}

/// A prompt that was sent before the first frame block replaces the original one.
const std::string& first_prompt(const Video& video) {
  return !video.steered.empty() && video.steered.front().block == 0 ? video.steered.front().text : video.prompt;
}

Json reused_attention(const Video& video) {
  return video.progress.reused_attention ? Json(*video.progress.reused_attention) : Json();
}

/// Reads the progress of a finished video; any other starts over.
void read_progress(const Json& document, Video& video) {
  if (!is_final(video.status)) return;
  VideoProgress& progress = video.progress;
  progress.block = document.at("block");
  progress.blocks = document.at("blocks");
  progress.frames = document.at("frames_written");
  progress.frames_per_second = document.at("frames_per_second");
  if (const Json& reused = document.at("reused_attention"); !reused.is_null()) progress.reused_attention = reused;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

std::string to_string(VideoStatus status) { return kStatusNames[static_cast<size_t>(status)]; }

bool is_final(VideoStatus status) { return status != VideoStatus::kQueued && status != VideoStatus::kInProgress; }

Json video_object(const Video& video, int64_t queue_position) {
  const VideoProgress& progress = video.progress;
  const bool failed = video.status == VideoStatus::kFailed;
  return {{"id", video.id},
          {"object", "video"},
          {"model", video.model},
          {"status", to_string(video.status)},
          {"progress", percent(video)},
          {"created_at", video.created_at},
          {"completed_at", video.completed_at > 0 ? Json(video.completed_at) : Json()},
          {"expires_at", nullptr},
          {"prompt", first_prompt(video)},
          {"seconds", number_text(seconds_of(video))},
          {"size", std::to_string(video.width) + "x" + std::to_string(video.height)},
          {"remixed_from_video_id", nullptr},
          {"error", failed ? Json{{"code", video.error_code}, {"message", video.error_message}} : Json()},
          {"seed", video.seed},
          {"fps", video.fps},
          {"frames", video.frames},
          {"timeline", prompt_list(resulting_timeline(video))},
          {"stage", text_or_null(progress.stage)},
          {"block", progress.block},
          {"blocks", progress.blocks},
          {"frames_written", progress.frames},
          {"frames_per_second", progress.frames_per_second},
          {"eta_seconds", progress.eta_seconds},
          {"reused_attention", reused_attention(video)},
          {"queue_position", queue_position >= 0 ? Json(queue_position) : Json()},
          {"pending_prompt", progress.pending_prompt ? Json(*progress.pending_prompt) : Json()},
          {"prompt_fault", text_or_null(progress.prompt_fault)},
          {"live", progress.live}};
}

Json stored_video(const Video& video) {
  return {{"id", video.id},
          {"number", video.number},
          {"created_at", video.created_at},
          {"completed_at", video.completed_at},
          {"model", video.model},
          {"prompt", video.prompt},
          {"timeline", prompt_list(video.timeline)},
          {"steered", prompt_list(video.steered)},
          {"width", video.width},
          {"height", video.height},
          {"fps", video.fps},
          {"frames", video.frames},
          {"seed", video.seed},
          {"status", to_string(video.status)},
          {"error_code", video.error_code},
          {"error_message", video.error_message},
          {"block", video.progress.block},
          {"blocks", video.progress.blocks},
          {"frames_written", video.progress.frames},
          {"frames_per_second", video.progress.frames_per_second},
          {"reused_attention", reused_attention(video)}};
}

Video read_stored_video(const Json& document) {
  try {
    Video video;
    video.id = document.at("id");
    video.number = document.at("number");
    video.created_at = document.at("created_at");
    video.completed_at = document.at("completed_at");
    video.model = document.at("model");
    video.prompt = document.at("prompt");
    video.timeline = read_prompt_list(document.at("timeline"));
    video.steered = read_prompt_list(document.at("steered"));
    video.width = document.at("width");
    video.height = document.at("height");
    video.fps = document.at("fps");
    video.frames = document.at("frames");
    video.seed = document.at("seed");
    video.status = parse_status(document.at("status"));
    video.error_code = document.at("error_code");
    video.error_message = document.at("error_message");
    read_progress(document, video);
    if (!is_video_id(video.id)) throw ConfigError("'" + video.id + "' is not a video's id");
    return video;
  } catch (const Json::exception& error) {
    throw ConfigError(std::string("not a video: ") + error.what());
  }
}

std::string draw_video_id() { return std::string(kIdPrefix) + draw_token().substr(0, kIdDigits); }

bool is_video_id(const std::string& text) {
  if (text.size() != kIdPrefix.size() + kIdDigits || !text.starts_with(kIdPrefix)) return false;
  return text.find_first_not_of("0123456789abcdef", kIdPrefix.size()) == text.npos;
}

}  // namespace flashblock
