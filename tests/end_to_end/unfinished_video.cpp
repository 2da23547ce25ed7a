#include "tests/end_to_end/unfinished_video.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/support/tensor_matchers.h"
#include "weights/weight_store.h"

namespace flashblock::testing {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string coded_frames(const fs::path& video) {
  const std::string bytes = read_text(video);
  for (size_t at = 0; at + 8 <= bytes.size();) {
    size_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
    if (bytes.compare(at + 4, 4, "mdat") == 0) return bytes.substr(at + 8, size - 8);
    if (size < 8) break;
    at += size;
  }
  ADD_FAILURE() << video << " has no frames";
  return {};
}

std::string segment(int64_t number, const char* extension) {
  char name[32];
  std::snprintf(name, sizeof name, "%06d%s", static_cast<int>(number), extension);
  return name;
}

void wait_for(const fs::path& segment_file) {
  for (int i = 0; i < 12000 && !fs::exists(segment_file); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_TRUE(fs::exists(segment_file));
}

void expect_same_tensors(const fs::path& file, const fs::path& expected) {
  const auto found = WeightStore::open(file);
  const auto wanted = WeightStore::open(expected);
  ASSERT_EQ(found->names(), wanted->names());
  for (const std::string& tensor : wanted->names()) {
    EXPECT_TENSORS_IDENTICAL(found->tensor(tensor), wanted->tensor(tensor)) << file << ": " << tensor;
  }
}

void expect_same_video(const fs::path& video, const fs::path& expected) {
  EXPECT_TRUE(coded_frames(video) == coded_frames(expected)) << video << " is not " << expected;
  EXPECT_FALSE(fs::exists(fs::path(video).replace_extension(".parts")));
  EXPECT_TRUE(fs::exists(fs::path(video).replace_extension(".json")));
}

std::unique_ptr<TemporaryFolder> UnfinishedVideo::models_;

void UnfinishedVideo::SetUpTestSuite() {
  models_ = std::make_unique<TemporaryFolder>();
  write_prompted_model(model());
}

UnfinishedVideo::Words UnfinishedVideo::command(const std::string& name, const Words& more) const {
  Words words = {"render",   "a red hill", "--model", model(),   "--output", video(name), "--seed",   "7",
                 "--device", "cpu",        "--dtype", "float32", "--quiet",  "--set",     "frames=57"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

ProgramRun UnfinishedVideo::resume(const std::string& name, const Words& more) const {
  Words words = {"render", "--resume", "--output", video(name)};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

void UnfinishedVideo::leave_unfinished(const std::string& name, int64_t segments, const Words& more) const {
  const fs::path obstacle = video(name).string() + ".part";
  std::jthread in_the_way([&](const std::stop_token& stop) {  // the segments cannot be joined; found when they are
    while (!stop.stop_requested() && !fs::exists(parts(name) / "init.mp4"))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    fs::create_directory(obstacle);
  });
  const ProgramRun run = render(name, more);
  in_the_way.request_stop();
  in_the_way.join();
  ASSERT_EQ(run.status, 5) << run.err;
  EXPECT_THAT(run.err, HasSubstr("flashblock render --resume --output " + video(name).string()));
  EXPECT_FALSE(fs::exists(video(name)));
  fs::remove(obstacle);
  for (int64_t number = segments; fs::remove(parts(name) / segment(number)); ++number) {
    fs::remove(parts(name) / segment(number, ".safetensors"));
  }
  ASSERT_TRUE(fs::exists(parts(name) / segment(segments - 1)));
}

}  // namespace flashblock::testing
