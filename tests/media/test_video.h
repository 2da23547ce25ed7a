// Known frames, folders that clean up after themselves, and files as bytes, for the media tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "media/video_writer.h"

namespace flashblock::testing {

/// The video's frame `index`: a coloured gradient and a disc that moves, smooth, different in every frame.
/// Shape: [3, height, width] float32 in [0, 1].
at::Tensor pattern_frame(int64_t index, int64_t width, int64_t height);

/// Frames `first` to `first + count` of it. Shape: [count, 3, height, width].
at::Tensor pattern_frames(int64_t first, int64_t count, int64_t width, int64_t height);

/// Peak signal-to-noise ratio of two tensors in [0, 1], in dB.
double psnr(const at::Tensor& a, const at::Tensor& b);

std::string file_bytes(const std::filesystem::path& file);
/// The files one after the other, as `cat` would, into `target`.
void concatenate(const std::vector<std::filesystem::path>& files, const std::filesystem::path& target);

/// Whether ffmpeg and ffprobe are installed.
bool has_ffmpeg();

/// A small format that encodes fast.
VideoFormat small_format();
/// Frame blocks as the VAE gives them: 9 frames, then 12 each, until `frames` are written.
void write_pattern(VideoWriter& writer, int64_t frames);

}  // namespace flashblock::testing
