// Writes a video block by block: a folder of playable segments during the render, one file when it is complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "core/file_descriptor.h"
#include "media/segment_note.h"
#include "media/video_format.h"

namespace flashblock {

/// What to do if the video or its segments already exist.
enum class ExistingVideo {
  kRefuse,   ///< an error
  kResume,   ///< continue after the last complete segment; a finished video is an error
  kReplace,  ///< delete the segments at once, replace the old video when the new one is complete
};

/// Which files of a video exist.
enum class VideoState {
  kAbsent,      ///< neither video nor segments
  kUnfinished,  ///< NAME.parts
  kComplete,    ///< NAME.mp4, or the first of its images, and no NAME.parts
};

/// One frame block on disk: a closed GOP, one fragment of fragmented MP4 with absolute time.
struct Segment {
  std::filesystem::path file;
  int64_t first_frame = 0;  ///< frames of the video before this segment
  int64_t frames = 0;
};

/// A frame block whose segment is being encoded, on a thread of its own. Waits for that thread when destroyed.
class EncodingSegment {
 private:
  friend class VideoWriter;
  int64_t first_frame_ = 0, frames_ = 0;
  SegmentNote note_;
  std::future<std::string> fragment_;
};

/// `NAME.parts`, the folder that holds the segments of `NAME.mp4`; `FOLDER/frames.parts` for `FOLDER/%06d.png`.
std::filesystem::path parts_folder(const std::filesystem::path& video);
/// Another file of this video, with this ending: `NAME.json`, `FOLDER/frames.json`.
std::filesystem::path companion_file(const std::filesystem::path& video, const std::string& ending);
/// The video, or the first of its images.
std::filesystem::path first_file(const std::filesystem::path& video);

VideoState video_state(const std::filesystem::path& video);

/// The folders that a render makes beside `video`: `NAME.parts`, and its name while it is deleted.
std::vector<std::filesystem::path> segment_folders(const std::filesystem::path& video);

/// Deletes `NAME.parts`, but for files that no run has written.
void remove_segment_folder(const std::filesystem::path& video);

/// Deletes what is left over if a run was killed while it deleted `NAME.parts` of the finished video.
void remove_leftovers(const std::filesystem::path& video);

/// Checks early, before any model is loaded, that `video` can be written.
/// Throws: ConfigError if its ending is not known (container_of), if it exists and `existing` forbids that, or if the
/// name of its folder of segments is taken by something that no run has written;
/// MediaError if its folder is missing, cannot be written, or has less than `needed_bytes` free.
void check_video_can_be_written(const std::filesystem::path& video, ExistingVideo existing, int64_t needed_bytes = 0);

/// Writes one video: a file whose ending names its container, images, or segments alone (NAME.stream). While it grows,
/// `NAME.parts/` holds `init.mp4` and `000000.m4s`, `000001.m4s`, ...: each appears
/// complete or not at all, even if the program is killed, and `cat NAME.parts/init.mp4 NAME.parts/0*.m4s` plays. Each
/// has a note, `000000.safetensors`, with checksums of both: a segment without its note is ignored. `join` copies the
/// segments, without encoding them again, into `NAME.mp4`. Thread safety: none; one thread at a time, except that one
/// may encode() while another calls anything else. Two writers, even in two processes, never share a video (the folder
/// is locked).
class VideoWriter {
 public:
  /// Creates `NAME.parts` and its init segment, or with kResume continues after the complete segments.
  /// `frame_limit`: the video's exact length in frames; frames beyond it are dropped. 0: no limit.
  /// Throws: what check_video_can_be_written throws; ConfigError if resumed segments have another format, or another
  /// program writes this video; MediaError.
  VideoWriter(std::filesystem::path video, const VideoFormat& format, ExistingVideo existing, int64_t frame_limit = 0);
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  /// Encodes one frame block and writes its segment and its note to disk, synced. Returns the segment, e.g. for a
  /// preview; its `frames` is 0, and nothing is written, once the frame limit is reached. Shape: `frames` [T, 3, H, W]
  /// float in [0, 1] or [T, H, W, 3] uint8 (to_rgb24), on the CPU, T >= 1; floats where more than 8 bits are to be
  /// encoded (takes_rgb24). Throws: MediaError (a full disk, a failing encoder); the segments before stay complete.
  Segment write(const at::Tensor& frames, SegmentNote note = {});

  /// write() in two halves, so that several segments are encoded at the same time: the bytes do not depend on it.
  /// encode() starts a thread for the next frame block and returns; store() waits for it and writes to disk, in the
  /// order of encode(). After an error in store() what was encoded after it cannot be stored. Parameters, result and
  /// errors as for write().
  EncodingSegment encode(const at::Tensor& frames, SegmentNote note = {});
  Segment store(EncodingSegment segment);

  /// The note of a segment. Throws: MediaError if it has been changed since it was checked.
  SegmentNote note(int64_t segment) const;

  /// Deletes all segments but the first `count`, so that writing continues from there.
  void keep_segments(int64_t count);

  /// Copies the segments into the video, with `metadata` as its tags, and the sound of `audio`, cut or padded, if there
  /// is one. Written under a temporary name, synced, renamed. Images have no metadata; of the `replaced_images` of an
  /// earlier video those that this one does not replace are deleted. Throws: MediaError; then nothing is under the
  /// final name, and the segments remain.
  void join(const std::map<std::string, std::string>& metadata, const std::filesystem::path& audio = {},
            int64_t replaced_images = 0);

  /// Writes another file into `NAME.parts`, atomically and synced. Throws: MediaError.
  void keep_file(const std::string& name, std::string_view text);

  /// Deletes `NAME.parts`. Call after join().
  void remove_parts();

  const VideoFormat& format() const { return format_; }
  const std::filesystem::path& video() const { return video_; }
  std::filesystem::path init_segment() const;
  /// Complete segments so far, including those of an earlier run that was interrupted.
  const std::vector<Segment>& segments() const { return segments_; }
  /// Frames in these segments.
  int64_t frames() const;

 private:
  std::filesystem::path video_;
  VideoFormat format_;
  int64_t frame_limit_;
  std::filesystem::path parts_;
  FileDescriptor lock_;        ///< the locked folder
  std::string init_checksum_;  ///< of the init segment
  std::vector<Segment> segments_;
  int64_t next_frame_ = 0;  ///< that encode() begins with
};

}  // namespace flashblock
