#include "batch/board.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "batch/batch_report.h"
#include "render/pace.h"

namespace flashblock {
namespace {

using Clock = std::chrono::steady_clock;

/// Whether a byte of UTF-8 begins a character.
bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }

/// How many bytes the first `characters` characters of `text` have.
size_t prefix(const std::string& text, size_t characters) {
  size_t seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (begins_character(text[i]) && seen++ == characters) return i;
  }
  return text.size();
}

size_t characters_in(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string padded(std::string text, size_t characters) {
  const size_t length = characters_in(text);
  return length < characters ? text.append(characters - length, ' ') : text;
}

std::string state_words(const JobStatus& status) {
  const std::string block = "block " + std::to_string(status.block) + "/" + std::to_string(status.blocks);
  switch (status.state) {
    case JobState::kRunning:
    case JobState::kElsewhere: {
      const std::string where = status.state == JobState::kElsewhere ? ", in another run" : "";
      if (status.block == 0) return status.stage + where;
      if (status.frames_per_second <= 0) return block + "  " + status.stage + where;  // it has just been resumed
      char speed[32];
      std::snprintf(speed, sizeof speed, "%.1f fps", status.frames_per_second);
      return block + "  " + speed + "  " + clock_text(status.seconds_left) + " left" + where;
    }
    case JobState::kDone:
      if (status.seconds <= 0) return "existed already";
      return std::to_string(status.frames) + " frames in " + clock_text(status.seconds);
    case JobState::kInterrupted:
      return "at " + block;
    case JobState::kFailed:
      return status.fault ? status.fault->message : "";
    case JobState::kWaiting:
      return status.fault ? "retry after: " + status.fault->message : "";
  }
  return "";
}

size_t name_width_of(const std::vector<BatchVideo>& videos, const std::vector<size_t>& shown) {
  constexpr size_t kWidest = 40;
  size_t width = 4;
  for (const size_t video : shown) width = std::max(width, characters_in(videos[video].name));
  return std::min(width, kWidest);
}

std::string headline(const std::vector<JobStatus>& statuses, const std::vector<size_t>& shown) {
  std::vector<JobStatus> mine;
  mine.reserve(shown.size());
  for (const size_t video : shown) mine.push_back(statuses[video]);
  const BatchCounts counts = count_states(mine);
  std::string text = std::to_string(counts.done) + " of " + std::to_string(counts.videos) + " videos done";
  const auto add = [&](int64_t videos, const char* what) {
    if (videos > 0) text += ", " + std::to_string(videos) + " " + what;
  };
  add(counts.failed, "failed");
  add(counts.running, "running");
  add(counts.interrupted, "interrupted");
  add(counts.waiting, "waiting");
  return text;
}

class LineBoard : public Board {
 public:
  LineBoard(const std::vector<BatchVideo>& videos, const std::vector<JobStatus>& statuses)
      : videos_(videos), statuses_(statuses) {}

  void state_changed(size_t video) override {
    std::fprintf(stderr, "%s\n", board_line(videos_[video], statuses_[video], 0, 0).c_str());
  }

 private:
  const std::vector<BatchVideo>& videos_;
  const std::vector<JobStatus>& statuses_;
};

class TableBoard : public Board {
 public:
  TableBoard(const std::vector<BatchVideo>& videos, const std::vector<JobStatus>& statuses,
             const std::vector<size_t>& shown)
      : videos_(videos), statuses_(statuses), shown_(shown), name_width_(name_width_of(videos, shown)) {}
  ~TableBoard() override { erase(); }

  void state_changed(size_t video) override {
    recent_.erase(std::remove(recent_.begin(), recent_.end(), video), recent_.end());
    recent_.push_back(video);
    drawn_at_ = {};
  }

  void tick() override {
    constexpr auto kPause = std::chrono::milliseconds(500);
    if (Clock::now() - drawn_at_ < kPause) return;
    drawn_at_ = Clock::now();
    winsize size{};
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    const size_t rows = known ? size.ws_row : 24, columns = known ? size.ws_col : 80;
    erase();
    std::string text = headline(statuses_, shown_) + "\n";
    lines_ = 1;
    for (const size_t video : chosen(std::max<size_t>(rows, 4) - 2)) {
      text += board_line(videos_[video], statuses_[video], name_width_, columns - 1) + "\n";
      ++lines_;
    }
    std::fputs(text.c_str(), stderr);
  }

  void warn(const std::string& problem) override {
    erase();
    Board::warn(problem);
    drawn_at_ = {};
  }

 private:
  void erase() {
    if (lines_ > 0) std::fprintf(stderr, "\033[%zuA\r\033[J", lines_);
    lines_ = 0;
  }

  /// As many videos as fit: the running ones, those that changed last, then those that are not done.
  std::vector<size_t> chosen(size_t room) const {
    std::vector<size_t> videos;
    const auto add = [&](size_t video) {
      if (videos.size() < room && std::find(videos.begin(), videos.end(), video) == videos.end())
        videos.push_back(video);
    };
    for (const size_t video : shown_) {
      if (statuses_[video].state == JobState::kRunning) add(video);
    }
    for (auto video = recent_.rbegin(); video != recent_.rend(); ++video) add(*video);
    for (const size_t video : shown_) {
      if (statuses_[video].state != JobState::kDone) add(video);
    }
    std::sort(videos.begin(), videos.end());
    return videos;
  }

  const std::vector<BatchVideo>& videos_;
  const std::vector<JobStatus>& statuses_;
  const std::vector<size_t>& shown_;
  size_t name_width_;
  std::vector<size_t> recent_;
  size_t lines_ = 0;  ///< on the screen
  Clock::time_point drawn_at_;
};

}  // namespace

void Board::warn(const std::string& problem) { std::fprintf(stderr, "flashblock: warning: %s\n", problem.c_str()); }

std::unique_ptr<Board> make_board(BoardStyle style, const std::vector<BatchVideo>& videos,
                                  const std::vector<JobStatus>& statuses, const std::vector<size_t>& shown) {
  if (style == BoardStyle::kAuto) style = isatty(STDERR_FILENO) ? BoardStyle::kTable : BoardStyle::kLines;
  if (style == BoardStyle::kTable) return std::make_unique<TableBoard>(videos, statuses, shown);
  if (style == BoardStyle::kLines) return std::make_unique<LineBoard>(videos, statuses);
  return std::make_unique<Board>();
}

std::string board_line(const BatchVideo& video, const JobStatus& status, size_t name_width, size_t width) {
  constexpr size_t kStateWidth = 11;
  std::string name = video.name;
  if (name_width > 0) name = padded(name.substr(0, prefix(name, name_width)), name_width);
  std::string line = name + "  " + padded(to_string(status.state), kStateWidth) + "  " + state_words(status);
  line.erase(line.find_last_not_of(' ') + 1);
  return width > 0 ? line.substr(0, prefix(line, width)) : line;
}

std::string board_table(const std::vector<BatchVideo>& videos, const std::vector<JobStatus>& statuses,
                        const std::vector<size_t>& shown) {
  std::string text;
  const size_t name_width = name_width_of(videos, shown);
  for (const size_t video : shown) text += board_line(videos[video], statuses[video], name_width, 0) + "\n";
  return text + headline(statuses, shown) + "\n";
}

}  // namespace flashblock
