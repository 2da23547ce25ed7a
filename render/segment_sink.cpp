#include "render/segment_sink.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "core/error.h"
#include "core/html_page.h"
#include "render/output_check.h"
#include "render/sidecar.h"
#include "settings/config_file.h"

namespace flashblock {
namespace {

// Names in a segment's note.
constexpr const char* kVideo = "video";              // text: the video's id
constexpr const char* kLatents = "latents";          // [1, F, C, H, W]
constexpr const char* kSheet = "sheet";              // [n, H, W, 3] uint8: frames for the contact sheet; may be missing
constexpr const char* kPromptFile = "prompts.json";  // in NAME.parts: live prompts
constexpr const char* kPixels = "pixels";            // [T, 3, H, W] float16; only while the video is recorded

std::string draw_id() {
  std::random_device random;
  char text[40];
  std::snprintf(text, sizeof text, "%08x%08x%08x%08x", random(), random(), random(), random());
  return text;
}

std::string prompts_json(const std::vector<TakenPrompt>& prompts) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const TakenPrompt& prompt : prompts) list.push_back({{"block", prompt.block}, {"prompt", prompt.text}});
  return json_text(list, 2);
}

ErrorContext start_over() { return {.key = "output", .remedies = {{"start over", "overwrite", "true"}}}; }

/// Throws: ConfigError for a file that exists and cannot be read.
std::vector<TakenPrompt> read_prompts(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return {};
  std::ifstream stream(file, std::ios::binary);
  std::vector<TakenPrompt> prompts;
  try {
    for (const auto& entry : nlohmann::json::parse(stream)) {
      prompts.push_back({.block = entry.at("block"), .text = entry.at("prompt")});
    }
  } catch (const nlohmann::json::exception&) {
    throw ConfigError(file.string() + " is damaged, and holds prompts that arrived while the video was rendered",
                      start_over());
  }
  return prompts;
}

}  // namespace

SegmentSink::SegmentSink(const RenderSetup& setup, const VideoIdentity& identity, Recorder& recorder,
                         RenderObserver& observer)
    : setup_(setup),
      config_(setup.config),
      recorder_(recorder),
      observer_(observer),
      writer_(config_.output, video_format(config_), existing_video(config_), setup.plan.frames),
      sheet_(setup.plan.frames, config_.fps),
      progress_{.blocks = setup.plan.blocks},
      identity_(identity),
      queue_(writer_, config_.overlap ? Overlap::kOn : Overlap::kOff) {
  claim_folder(identity);
  open_receivers();
}

SegmentSink::~SegmentSink() {
  try {
    queue_.finish();
  } catch (const std::exception&) {  // already reported by write() or finish(), or the render has failed elsewhere
  }
  if (!writer_.segments().empty() || joined_) return;
  try {
    remove_segment_folder(writer_.video());
  } catch (const std::exception&) {  // what is left is taken up, or replaced, by the next run
  }
}

void SegmentSink::open_receivers() {
  const OutputOptions& options = config_.output_options;
  if (!config_.standard_output.empty()) {
    standard_output_ = make_standard_output(output_container(config_), options.audio);
  }
  for (const std::string& target : options.tee) {
    tees_.push_back(
        make_tee(target, options.audio, [&](const std::string& what) { observer_.receiver_changed(what); }));
  }
}

void SegmentSink::forward() {
  for (; forwarded_ < writer_.segments().size(); ++forwarded_) {
    const std::filesystem::path& segment = writer_.segments()[forwarded_].file;
    for (const auto& tee : tees_) tee->write(writer_.init_segment(), segment);
    if (standard_output_) standard_output_->write(writer_.init_segment(), segment);
  }
}

void SegmentSink::finish_receivers() {
  for (const auto& tee : tees_) tee->finish();
  if (standard_output_) standard_output_->finish();
}

void SegmentSink::claim_folder(const VideoIdentity& wanted) {
  const std::filesystem::path parts = parts_folder(writer_.video());
  const bool begun = config_.resume && (!writer_.segments().empty() || std::filesystem::exists(parts / kIdentityFile));
  if (begun) {
    const VideoIdentity there = read_unfinished_identity(writer_.video(), wanted);
    identity_.id = there.id;
    taken_ = read_prompts(parts / kPromptFile);
    for (size_t i = 0; i < there.files.size(); ++i) identity_.files[i].sha256 = there.files[i].sha256;
  } else {
    identity_.id = draw_id();
    std::filesystem::remove(parts / kPromptFile);  // of the video that is replaced
  }
  store_identity();
  writer_.keep_file("configuration.yaml", config_yaml(published_config(config_)));
}

void SegmentSink::store_identity() {
  checksums_stored_ = !identity_.checksums || identity_.checksums->ready();
  writer_.keep_file(kIdentityFile, identity_json(identity_));
}

at::Tensor SegmentSink::fitting_latents(const SegmentNote& note, int64_t number, const SessionInputs& inputs,
                                        at::ScalarType dtype) const {
  const auto video = note.texts.find(kVideo);
  const auto found = note.tensors.find(kLatents);
  if (video == note.texts.end() || video->second != identity_.id || found == note.tensors.end()) return {};
  const at::Tensor latents = found->second.clone();
  const VideoGeometry& geometry = setup_.geometry;
  const FrameBlock block = setup_.plan.any_block(number);
  const bool fits = latents.dim() == 5 && latents.size(1) == block.frames &&
                    latents.size(3) == geometry.latent_height() && latents.size(4) == geometry.latent_width() &&
                    latents.scalar_type() == dtype;
  if (!fits) return {};
  if (block.index >= 0) return latents;
  const at::Tensor given = inputs.initial_latents.narrow(1, block.start_frame, block.frames).to(at::kCPU, dtype);
  return given.equal(latents) ? latents : at::Tensor();
}

void SegmentSink::store_prompt(const TakenPrompt& prompt) {
  std::erase_if(taken_, [&](const TakenPrompt& other) { return other.block == prompt.block; });
  taken_.push_back(prompt);
  writer_.keep_file(kPromptFile, prompts_json(taken_));
}

std::vector<at::Tensor> SegmentSink::resume(const SessionInputs& inputs, at::ScalarType dtype) {
  std::vector<at::Tensor> finished;
  for (int64_t number = 0; number < static_cast<int64_t>(writer_.segments().size()); ++number) {
    const SegmentNote note = writer_.note(number);
    const at::Tensor latents = fitting_latents(note, number, inputs, dtype);
    if (!latents.defined()) {
      writer_.keep_segments(number);
      break;
    }
    const auto tensor = [&](const char* name) {
      const auto found = note.tensors.find(name);
      return found == note.tensors.end() ? at::Tensor() : found->second;
    };
    const FrameBlock block = setup_.plan.any_block(number);
    if (!config_.record.empty()) {
      if (!tensor(kPixels).defined()) {
        throw ConfigError(
            "the unfinished video was begun without a recording, so that its frames are lost: continue without",
            {.key = "record", .remedies = start_over().remedies});
      }
      recorder_.add({.index = block.index, .latents = latents, .pixels = tensor(kPixels).clone()});
    }
    sheet_.add_taken(writer_.segments()[static_cast<size_t>(number)].frames, tensor(kSheet));
    if (block.index >= 0) ++progress_.block;
    finished.push_back(latents);
  }
  progress_.frames = writer_.frames();
  observer_.segments_written(writer_);
  for (const Segment& segment : writer_.segments()) {  // other receivers had them in the earlier run
    if (standard_output_) standard_output_->write(writer_.init_segment(), segment.file);
  }
  forwarded_ = writer_.segments().size();
  return finished;
}

void SegmentSink::write(const RenderedBlock& block) {
  SegmentNote note{.tensors = {{kLatents, block.latents}}, .texts = {{kVideo, identity_.id}}};
  if (const at::Tensor taken = sheet_.add(block.rgb); taken.defined()) note.tensors[kSheet] = taken;
  if (!config_.record.empty()) {
    note.tensors[kPixels] = block.pixels.to(at::kHalf);
    recorder_.add(block);
  }
  queue_.add(takes_rgb24(writer_.format().encoding) ? block.rgb : block.pixels, std::move(note),
             [this, index = block.index, counters = block.counters] { stored(index, counters); });
}

void SegmentSink::stored(int64_t index, const TransformerCounters& counters) {
  observer_.segments_written(writer_);
  forward();
  if (!checksums_stored_ && identity_.checksums->ready()) store_identity();
  progress_.frames = writer_.frames();
  progress_.transformer = counters;
  if (index >= 0) ++progress_.block;
  observer_.progress(progress_);
}

void SegmentSink::check_files() const {
  const auto begun = [](const auto& file) { return !file.sha256.empty(); };
  if (!identity_.checksums || std::none_of(identity_.files.begin(), identity_.files.end(), begun)) return;
  const std::vector<FileChecksum>& now = identity_.checksums->get();
  for (size_t i = 0; i < now.size(); ++i) {
    const std::string& begun_with = identity_.files[i].sha256;
    if (begun_with.empty() || begun_with == now[i].sha256) continue;
    throw ConfigError(now[i].file.string() + " is not the file that " + parts_folder(writer_.video()).string() +
                          " was begun with: put that one back",
                      start_over());
  }
}

void SegmentSink::join(const std::map<std::string, std::string>& tags) {
  if (!standard_output_) check_files();
  if (!standard_output_ && !checksums_stored_) store_identity();
  if (!config_.contact_sheet.empty()) sheet_.write(config_.contact_sheet);
  if (!standard_output_) writer_.join(tags, config_.output_options.audio, replaced_images(config_));
  joined_ = true;
}

void SegmentSink::remove_segments() { writer_.remove_parts(); }

}  // namespace flashblock
