// Whether the files of a video can be written, before anything is computed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "render/render_setup.h"

namespace flashblock {

/// A file or folder that a render writes.
struct WrittenFile {
  std::filesystem::path path;
  std::string key;      ///< of the configuration, from which the name comes
  bool folder = false;  ///< of segments
};

/// All files and folders that a render writes: the video (of an image sequence the first image), its sidecar, its
/// folders of segments, contact sheet, recording, and files that get the video while it is made. While it is written,
/// each file has its unfinished_name().
std::vector<WrittenFile> written_files(const RenderConfig& config);

/// The images of an earlier video that this one replaces; 0: none.
int64_t replaced_images(const RenderConfig& config);

/// Throws: ConfigError for output names with the wrong ending, for containers, codecs, pixel formats, sound and
/// receivers that do not go together or that the FFmpeg in use does not have, and for names that are too long, given
/// twice, taken by a link or a folder, or that of a file which the video is made from.
void check_output_names(const RenderConfig& config);

/// Throws: ConfigError for a video, unfinished work or another file that exists and may not be replaced: without
/// `overwrite`, or since flashblock has not written it; MediaError for folders that cannot be written or have too
/// little space.
void check_outputs(const RenderSetup& setup);

}  // namespace flashblock
