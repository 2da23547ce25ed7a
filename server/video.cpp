#include "server/video.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
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
    if (prompt.shot) list.back()["shot"] = true;
  }
  return list;
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

/// Calls `visit` with the key and the member of everything that is stored of a video but its status.
template <class AnyVideo, class Visit>
void visit_stored(AnyVideo& video, const Visit& visit) {
  visit("id", video.id);
  visit("number", video.number);
  visit("created_at", video.created_at);
  visit("completed_at", video.completed_at);
  visit("model", video.model);
  visit("wish", video.wish);
  visit("prompt", video.prompt);
  visit("timeline", video.timeline);
  visit("steered", video.steered);
  visit("width", video.width);
  visit("height", video.height);
  visit("fps", video.fps);
  visit("frames", video.frames);
  visit("seed", video.seed);
  visit("choices", video.choices);
  visit("warnings", video.warnings);
  visit("truncated_prompts", video.truncated_prompts);
  visit("error_code", video.error_code);
  visit("error_message", video.error_message);
  visit("block", video.progress.block);
  visit("blocks", video.progress.blocks);
  visit("frames_written", video.progress.frames);
  visit("frames_per_second", video.progress.frames_per_second);
  visit("reused_attention", video.progress.reused_attention);
}

template <class Member>
Json to_json_value(const Member& member) {
  return member;
}
Json to_json_value(const std::vector<VideoPrompt>& prompts) { return prompt_list(prompts); }
Json to_json_value(const std::optional<double>& number) { return number ? Json(*number) : Json(); }

template <class Member>
void read_member(const Json& value, Member& member) {
  member = value.get<Member>();
}
void read_member(const Json& list, std::vector<VideoPrompt>& prompts) {
  for (const Json& entry : list) {
    prompts.push_back({.seconds = entry.at("at"),
                       .text = entry.at("prompt"),
                       .block = entry.at("block"),
                       .shot = entry.value("shot", false)});
  }
}
void read_member(const Json& value, std::optional<double>& number) {
  if (!value.is_null()) number = value.get<double>();
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

std::string to_string(VideoStatus status) { return kStatusNames[static_cast<size_t>(status)]; }

void end_video(Video& video, VideoStatus status) {
  video.status = status;
  video.completed_at = std::time(nullptr);
  video.progress.stage.clear();
  video.progress.eta_seconds.reset();
  video.progress.hold.reset();
}

bool is_final(VideoStatus status) { return status != VideoStatus::kQueued && status != VideoStatus::kInProgress; }

const std::string& first_prompt(const Video& video) {
  return !video.steered.empty() && video.steered.front().block == 0 ? video.steered.front().text : video.prompt;
}

bool has_content(const Video& video) {
  if (video.status == VideoStatus::kCompleted) return true;
  return (is_final(video.status) || video.progress.hold) && video.progress.frames > 0;
}

Json video_object(const Video& video, int64_t queue_position, const std::string& query) {
  const VideoProgress& progress = video.progress;
  const bool failed = video.status == VideoStatus::kFailed;
  const std::optional<Hold>& hold = progress.hold;
  const Json content = has_content(video) ? Json("v1/videos/" + video.id + "/content" + query) : Json();
  return {{"id", video.id},
          {"object", "video"},
          {"model", video.model},
          {"status", to_string(video.status)},
          {"progress", percent(video)},
          {"created_at", video.created_at},
          {"completed_at", video.completed_at > 0 ? Json(video.completed_at) : Json()},
          {"expires_at", nullptr},
          {"wish", text_or_null(video.wish)},
          {"prompt", first_prompt(video)},
          {"seconds", number_text(seconds_of(video))},
          {"size", std::to_string(video.width) + "x" + std::to_string(video.height)},
          {"remixed_from_video_id", nullptr},
          {"error", failed ? Json{{"code", video.error_code}, {"message", video.error_message}} : Json()},
          {"choices", video.choices},
          {"warnings", video.warnings},
          {"truncated_prompts", video.truncated_prompts},
          {"seed", video.seed},
          {"fps", video.fps},
          {"frames", video.frames},
          {"timeline", prompt_list(resulting_timeline(video))},
          {"stage", text_or_null(progress.stage)},
          {"block", progress.block},
          {"blocks", progress.blocks},
          {"frames_written", progress.frames},
          {"frames_per_second", to_json_value(progress.frames_per_second)},
          {"eta_seconds", to_json_value(progress.eta_seconds)},
          {"reused_attention", to_json_value(progress.reused_attention)},
          {"queue_position", queue_position >= 0 ? Json(queue_position) : Json()},
          {"pending_prompt", progress.pending_prompt ? Json(*progress.pending_prompt) : Json()},
          {"prompt_fault", text_or_null(progress.prompt_fault)},
          {"live", progress.live},
          {"waiting_for", hold ? Json{{"code", hold->code}, {"message", hold->message}} : Json()},
          {"stream_url", is_final(video.status) ? content : Json("v1/videos/" + video.id + "/stream.mp4" + query)},
          {"playlist_url", is_final(video.status) ? Json() : Json("hls/" + video.id + "/live.m3u8" + query)}};
}

Json stored_video(const Video& video) {
  Json document;
  visit_stored(video, [&](const char* key, const auto& member) { document[key] = to_json_value(member); });
  document["status"] = to_string(video.status);
  return document;
}

Video read_stored_video(const Json& document) {
  try {
    Video video;
    visit_stored(video, [&](const char* key, auto& member) {
      constexpr std::array<std::string_view, 4> kNewer = {"wish", "choices", "warnings",
                                                          "truncated_prompts"};  // than 0.1.0
      const bool newer = std::ranges::find(kNewer, key) != kNewer.end();
      if (!newer || document.contains(key)) read_member(document.at(key), member);
    });
    video.status = parse_status(document.at("status"));
    if (!is_final(video.status)) video.progress = {};  // it starts over
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
