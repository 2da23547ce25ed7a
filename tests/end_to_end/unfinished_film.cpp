#include "tests/end_to_end/unfinished_film.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "core/weight_store.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock::testing {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string coded_pictures(const fs::path& film) {
  const std::string bytes = read_text(film);
  for (size_t at = 0; at + 8 <= bytes.size();) {
    size_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
    if (bytes.compare(at + 4, 4, "mdat") == 0) return bytes.substr(at + 8, size - 8);
    if (size < 8) break;
    at += size;
  }
  ADD_FAILURE() << film << " has no pictures";
  return {};
}

std::string piece(int64_t number, const char* extension) {
  char name[32];
  std::snprintf(name, sizeof name, "%06d%s", static_cast<int>(number), extension);
  return name;
}

void wait_for(const fs::path& piece_file) {
  for (int i = 0; i < 12000 && !fs::exists(piece_file); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_TRUE(fs::exists(piece_file));
}

void expect_same_tensors(const fs::path& file, const fs::path& expected) {
  const auto found = WeightStore::open(file);
  const auto wanted = WeightStore::open(expected);
  ASSERT_EQ(found->names(), wanted->names());
  for (const std::string& tensor : wanted->names()) {
    EXPECT_TENSORS_IDENTICAL(found->tensor(tensor), wanted->tensor(tensor)) << file << ": " << tensor;
  }
}

void expect_same_film(const fs::path& film, const fs::path& expected) {
  EXPECT_TRUE(coded_pictures(film) == coded_pictures(expected)) << film << " is not " << expected;
  EXPECT_FALSE(fs::exists(fs::path(film).replace_extension(".parts")));
  EXPECT_TRUE(fs::exists(fs::path(film).replace_extension(".json")));
}

std::unique_ptr<TemporaryFolder> UnfinishedFilm::models_;

void UnfinishedFilm::SetUpTestSuite() {
  models_ = std::make_unique<TemporaryFolder>();
  write_prompted_model(model());
}

UnfinishedFilm::Words UnfinishedFilm::command(const std::string& name, const Words& more) const {
  Words words = {"render",   "a red hill", "--model", model(),   "--output", film(name), "--seed",   "7",
                 "--device", "cpu",        "--dtype", "float32", "--quiet",  "--set",    "frames=57"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

ProgramRun UnfinishedFilm::resume(const std::string& name, const Words& more) const {
  Words words = {"render", "--resume", "--output", film(name)};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

void UnfinishedFilm::leave_unfinished(const std::string& name, int64_t pieces, const Words& more) const {
  const fs::path obstacle = film(name).string() + ".part";
  fs::create_directory(obstacle);  // the pieces cannot be joined
  const ProgramRun run = render(name, more);
  ASSERT_EQ(run.status, 5) << run.err;
  EXPECT_THAT(run.err, HasSubstr("flashblock render --resume --output " + film(name).string()));
  EXPECT_FALSE(fs::exists(film(name)));
  fs::remove(obstacle);
  for (int64_t number = pieces; fs::remove(parts(name) / piece(number)); ++number) {
    fs::remove(parts(name) / piece(number, ".safetensors"));
  }
  ASSERT_TRUE(fs::exists(parts(name) / piece(pieces - 1)));
}

}  // namespace flashblock::testing
