// The queue of a server and the state of its videos, in memory and on disk.
#include "server/video_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "render/finished_video.h"
#include "server/api_error.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kNoWait{0};

Video video(const std::string& prompt) {
  return {.model = "small", .prompt = prompt, .width = 48, .height = 32, .fps = 16, .frames = 32, .seed = 7};
}

int status_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ApiError& error) {
    return error.error().status;
  }
  return 200;
}

class VideoCatalogTest : public ::testing::Test {
 protected:
  /// A server that starts on the folder; only one at a time.
  VideoCatalog& start(size_t most_queued = 8) {
    catalog_.reset();
    catalog_.emplace(std::make_shared<const VideoFolder>(folder_ / "videos"), most_queued);
    return *catalog_;
  }
  VideoCatalog::Task take() {
    EXPECT_FALSE(catalog_->wait_for_changes(0, kNoWait).videos.empty());
    return catalog_->take_next(std::stop_token()).value();
  }
  void finish(const std::string& id, VideoStatus status) {
    catalog_->update(id, Keep::kOnDisk, [&](Video& video) {
      video.status = status;
      video.progress.blocks = video.progress.block = 3;
      video.progress.frames = 32;
    });
    catalog_->release(id);
  }
  /// The files of a finished video.
  fs::path leave_content(const std::string& id) const {
    const fs::path content = file(id).parent_path() / "content.mp4";
    std::ofstream(content) << "frames";
    nlohmann::ordered_json written = written_video_json(content, 32);
    written["frames"] = 32;
    written["file"] = content.filename().string();
    std::ofstream(fs::path(content).replace_extension(".json"))
        << nlohmann::ordered_json{{"program", "flashblock 0.1.0"}, {"video", written}};
    return content;
  }
  fs::path file(const std::string& id) const { return folder_ / "videos" / id / "video.json"; }
  std::vector<std::string> queue() const {
    std::map<int64_t, std::string> by_position;
    for (const ListedVideo& listed : catalog_->list({.limit = 100}).videos) {
      if (listed.queue_position >= 0) by_position[listed.queue_position] = listed.video.prompt;
    }
    std::vector<std::string> prompts;
    for (const auto& [position, prompt] : by_position) prompts.push_back(prompt);
    return prompts;
  }

  TemporaryFolder folder_;
  std::optional<VideoCatalog> catalog_;
};

TEST_F(VideoCatalogTest, RunsVideosInTheOrderOfTheirRequests) {
  VideoCatalog& catalog = start();
  const ListedVideo a = catalog.add(video("a")), b = catalog.add(video("b"));
  EXPECT_TRUE(is_video_id(a.video.id));
  EXPECT_NE(a.video.id, b.video.id);
  EXPECT_EQ(a.queue_position, 1);
  EXPECT_EQ(b.queue_position, 2);
  const VideoCatalog::Task task = take();
  EXPECT_EQ(task.video.id, a.video.id);
  EXPECT_EQ(catalog.get(a.video.id).video.status, VideoStatus::kInProgress);
  EXPECT_EQ(catalog.get(a.video.id).queue_position, 0);
  EXPECT_EQ(catalog.get(b.video.id).queue_position, 1);
  finish(a.video.id, VideoStatus::kCompleted);
  EXPECT_EQ(catalog.get(a.video.id).queue_position, -1);
  EXPECT_EQ(take().video.id, b.video.id);
  std::stop_source stopped;
  stopped.request_stop();
  catalog.add(video("c"));
  EXPECT_FALSE(catalog.take_next(stopped.get_token())) << "the queue is for the next server";
}

TEST_F(VideoCatalogTest, QueueHasALimit) {
  VideoCatalog& catalog = start(/*most_queued=*/1);
  const std::string first = catalog.add(video("a")).video.id;
  EXPECT_EQ(status_of([&] { catalog.add(video("b")); }), 429);
  EXPECT_THAT(catalog.list({}).videos, SizeIs(1));
  take();
  EXPECT_EQ(status_of([&] { catalog.add(video("b")); }), 200) << "the running video is not queued";
  EXPECT_EQ(catalog.counts(),
            (std::map<VideoStatus, int64_t>{{VideoStatus::kQueued, 1}, {VideoStatus::kInProgress, 1}}));
}

TEST_F(VideoCatalogTest, CancelsQueuedVideosAtOnceAndRunningOnesByRequest) {
  VideoCatalog& catalog = start();
  const std::string a = catalog.add(video("a")).video.id, b = catalog.add(video("b")).video.id;
  const VideoCatalog::Task task = take();
  catalog.add(video("c"));
  EXPECT_EQ(catalog.cancel(b).video.status, VideoStatus::kCancelled);
  EXPECT_THAT(queue(), ElementsAre("a", "c"));
  EXPECT_FALSE(task.stop.stop_requested());
  EXPECT_EQ(catalog.cancel(a).video.status, VideoStatus::kInProgress) << "until its render has stopped";
  EXPECT_TRUE(task.stop.stop_requested());
  finish(a, VideoStatus::kCancelled);
  EXPECT_EQ(catalog.cancel(a).video.status, VideoStatus::kCancelled);
  EXPECT_EQ(status_of([&] { catalog.cancel("video_0"); }), 404);
}

TEST_F(VideoCatalogTest, DeletesFilesOnceTheyAreNotUsed) {
  VideoCatalog& catalog = start();
  const std::string a = catalog.add(video("a")).video.id, b = catalog.add(video("b")).video.id;
  const VideoCatalog::Task task = take();
  std::ofstream(file(a).parent_path() / "content.mp4") << "frames";
  catalog.remove(b);
  EXPECT_FALSE(fs::exists(file(b).parent_path()));
  EXPECT_THAT(queue(), ElementsAre("a"));
  catalog.remove(a);
  EXPECT_TRUE(task.stop.stop_requested());
  EXPECT_EQ(status_of([&] { catalog.get(a); }), 404);
  EXPECT_TRUE(fs::exists(file(a).parent_path() / "content.mp4")) << "its render still writes";
  EXPECT_FALSE(fs::exists(file(a))) << "but the next server does not resume it";
  catalog.update(a, Keep::kOnDisk, [](Video&) { FAIL() << "it is deleted"; });
  catalog.release(a);
  EXPECT_FALSE(fs::exists(file(a).parent_path()));
  EXPECT_EQ(status_of([&] { catalog.remove(a); }), 404);
}

TEST_F(VideoCatalogTest, DeletedVideoOfAServerThatWasKilledIsRemoved) {
  VideoCatalog* catalog = &start();
  const std::string a = catalog->add(video("a")).video.id;
  take();
  catalog->remove(a);
  ASSERT_TRUE(fs::exists(file(a).parent_path()));
  EXPECT_THAT(start().list({}).videos, IsEmpty());
  EXPECT_FALSE(fs::exists(file(a).parent_path()));
}

TEST_F(VideoCatalogTest, AVideoWhoseFileIsNotWholeIsNotCompleted) {
  VideoCatalog* catalog = &start();
  std::vector<std::string> ids;
  for (const char* prompt : {"whole", "cut", "gone"}) {
    ids.push_back(catalog->add(video(prompt)).video.id);
    take();
    leave_content(ids.back());
    finish(ids.back(), VideoStatus::kCompleted);
  }
  fs::resize_file(file(ids[1]).parent_path() / "content.mp4", 3);
  fs::remove(file(ids[2]).parent_path() / "content.mp4");
  catalog = &start();
  EXPECT_EQ(catalog->get(ids[0]).video.status, VideoStatus::kCompleted);
  for (const std::string& id : {ids[1], ids[2]}) {
    const Video video = catalog->get(id).video;
    EXPECT_EQ(video.status, VideoStatus::kFailed);
    EXPECT_EQ(video.error_code, "file_damaged");
  }
}

TEST_F(VideoCatalogTest, RestartsWithItsVideosRunningOneFirst) {
  VideoCatalog* catalog = &start();
  const std::string done = catalog->add(video("done")).video.id;
  take();
  leave_content(done);
  finish(done, VideoStatus::kCompleted);
  const std::string running = catalog->add(video("running")).video.id;
  catalog->add(video("queued"));
  take();
  catalog->update(running, Keep::kOnDisk, [](Video& video) {
    video.progress.block = 2;
    video.steered.push_back({.seconds = 1.5, .text = "night", .block = 2});
  });
  const Video before = catalog->get(done).video;

  catalog = &start();
  EXPECT_THAT(catalog->warnings(), IsEmpty());
  EXPECT_THAT(queue(), ElementsAre("running", "queued"));
  const Video resumed = catalog->get(running).video;
  EXPECT_EQ(resumed.status, VideoStatus::kInProgress) << "as clients were told";
  EXPECT_EQ(resumed.progress.block, 0) << "its progress is that of the new render";
  ASSERT_THAT(resumed.steered, SizeIs(1));
  EXPECT_EQ(resumed.steered[0].text, "night");
  EXPECT_EQ(stored_video(catalog->get(done).video), stored_video(before));
  EXPECT_EQ(catalog->get(done).video.progress.frames, 32);
  EXPECT_EQ(catalog->add(video("new")).video.number, 4) << "numbers are not used twice";
}

TEST_F(VideoCatalogTest, HeldVideoKeepsItsStatusItsPlaceAndItsPrompt) {
  VideoCatalog& catalog = start();
  const std::string a = catalog.add(video("a")).video.id;
  catalog.add(video("b"));
  const VideoCatalog::Task task = take();
  catalog.change_prompt(a, "night");
  catalog.update(a, Keep::kInMemory, [](Video& now) {
    now.progress.block = 2;
    now.progress.frames = 21;
    now.progress.frames_per_second = 16;
  });
  const Hold full{"disk_full", "the server's disk is full"};
  catalog.hold(a, full, VideoCatalog::Place::kNext);
  EXPECT_THAT(queue(), ElementsAre("a", "b"));
  EXPECT_EQ(catalog.held(), full);
  const nlohmann::ordered_json told = video_object(catalog.get(a).video, catalog.get(a).queue_position);
  EXPECT_EQ(told.at("status"), "in_progress");
  EXPECT_EQ(told.at("stage"), "waiting");
  EXPECT_EQ(told.at("waiting_for").at("code"), "disk_full");
  EXPECT_TRUE(told.at("eta_seconds").is_null() && told.at("frames_per_second").is_null()) << "not known";
  EXPECT_EQ(told.at("frames_written"), 21);
  EXPECT_TRUE(has_content(catalog.get(a).video)) << "what there is can be watched";

  const VideoCatalog::Task again = take();
  EXPECT_EQ(again.video.id, a);
  EXPECT_EQ(again.prompts->next(0, std::stop_token())->text, "night") << "the prompt still waits";
  EXPECT_TRUE(catalog.held()) << "until a frame block is finished";
  catalog.end_hold();
  EXPECT_FALSE(catalog.held());
  EXPECT_FALSE(catalog.get(a).video.progress.hold);

  catalog.hold(a, {"out_of_memory", ""}, VideoCatalog::Place::kLast);
  EXPECT_THAT(queue(), ElementsAre("b", "a")) << "another one may need less";
  catalog.cancel(a);
  EXPECT_TRUE(catalog.wait_for_request(std::stop_token(), std::chrono::milliseconds(0)));
  EXPECT_TRUE(again.stop.stop_requested()) << "its next attempt makes a video of what there is";
  catalog.remove(a);
  EXPECT_FALSE(fs::exists(file(a).parent_path())) << "no render uses its files";
}

TEST_F(VideoCatalogTest, ClientsAreToldOfAnEndOnlyWhenItIsOnDisk) {
  VideoCatalog& catalog = start();
  const std::string a = catalog.add(video("a")).video.id, b = catalog.add(video("b")).video.id;
  take();
  const auto fail = [](Video& now) { end_video(now, VideoStatus::kFailed); };
  const fs::path kept = file(a).parent_path().string() + "-kept";
  fs::rename(file(a).parent_path(), kept);
  std::ofstream(file(a).parent_path()) << "a file where the folder was";
  EXPECT_THROW(catalog.update(a, Keep::kOnDisk, fail), MediaError);
  EXPECT_EQ(catalog.get(a).video.status, VideoStatus::kInProgress);
  EXPECT_EQ(catalog.ended()[VideoStatus::kFailed], 0);
  fs::remove(file(a).parent_path());
  fs::rename(kept, file(a).parent_path());
  catalog.update(a, Keep::kOnDisk, fail);
  EXPECT_EQ(catalog.ended()[VideoStatus::kFailed], 1);

  fs::remove_all(file(b).parent_path());
  std::ofstream(file(b).parent_path()) << "a file where the folder was";
  EXPECT_EQ(status_of([&] { catalog.cancel(b); }), 507);
  EXPECT_EQ(catalog.get(b).video.status, VideoStatus::kQueued);
  catalog.release(a);
  EXPECT_THROW(catalog.take_next(std::stop_token()), MediaError) << "it is not told to be in progress, either";
  EXPECT_EQ(catalog.get(b).video.status, VideoStatus::kQueued);
  EXPECT_EQ(catalog.next(), b);
}

TEST_F(VideoCatalogTest, CountersOfEndsDoNotFall) {
  VideoCatalog& catalog = start();
  const std::string a = catalog.add(video("a")).video.id, b = catalog.add(video("b")).video.id;
  take();
  catalog.cancel(b);
  finish(a, VideoStatus::kCompleted);
  catalog.remove(a);
  catalog.remove(b);
  EXPECT_EQ(catalog.ended(),
            (std::map<VideoStatus, int64_t>{{VideoStatus::kCompleted, 1}, {VideoStatus::kCancelled, 1}}));
}

TEST_F(VideoCatalogTest, KeepsOnDiskWhatMustSurvive) {
  VideoCatalog* catalog = &start();
  const std::string a = catalog->add(video("a")).video.id;
  catalog->update(a, Keep::kInMemory, [](Video& video) { video.prompt = "in memory"; });
  EXPECT_EQ(catalog->get(a).video.prompt, "in memory");
  EXPECT_EQ(start().get(a).video.prompt, "a");
  catalog = &start();
  catalog->update(a, Keep::kOnDisk, [](Video& video) { video.prompt = "on disk"; });
  EXPECT_EQ(start().get(a).video.prompt, "on disk");
}

TEST_F(VideoCatalogTest, ReportsFilesThatItCannotRead) {
  VideoCatalog* catalog = &start();
  const std::string a = catalog->add(video("a")).video.id, b = catalog->add(video("b")).video.id;
  std::ofstream(file(a)) << "{";
  catalog = &start();
  EXPECT_THAT(catalog->warnings(), ElementsAre(HasSubstr(a)));
  ASSERT_THAT(catalog->list({}).videos, SizeIs(1));
  EXPECT_EQ(catalog->list({}).videos[0].video.id, b);
  EXPECT_TRUE(fs::exists(file(a))) << "it is not deleted";
}

TEST_F(VideoCatalogTest, NotifiesOfChangesSinceARevision) {
  VideoCatalog& catalog = start();
  const std::string a = catalog.add(video("a")).video.id, b = catalog.add(video("b")).video.id;
  const auto ids = [](const VideoChanges& changes) {
    std::vector<std::string> ids;
    for (const ListedVideo& listed : changes.videos) ids.push_back(listed.video.id);
    return ids;
  };
  VideoChanges changes = catalog.wait_for_changes(0, kNoWait);
  EXPECT_THAT(ids(changes), ElementsAre(a, b));
  EXPECT_THAT(ids(catalog.wait_for_changes(changes.revision, kNoWait)), IsEmpty());
  catalog.update(b, Keep::kInMemory, [](Video& video) { video.progress.block = 1; });
  changes = catalog.wait_for_changes(changes.revision, kNoWait);
  EXPECT_THAT(ids(changes), ElementsAre(b));
  catalog.remove(a);
  changes = catalog.wait_for_changes(changes.revision, kNoWait);
  EXPECT_THAT(changes.deleted, ElementsAre(a));
  EXPECT_THAT(ids(changes), ElementsAre(b)) << "its queue position";
}

TEST_F(VideoCatalogTest, ListsPages) {
  VideoCatalog& catalog = start();
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(catalog.add(video("a")).video.id);
  const VideoPage newest = catalog.list({.limit = 2});
  ASSERT_THAT(newest.videos, SizeIs(2));
  EXPECT_EQ(newest.videos[0].video.id, ids[4]);
  EXPECT_TRUE(newest.has_more);
  const VideoPage rest = catalog.list({.limit = 3, .after = ids[1], .newest_first = false});
  ASSERT_THAT(rest.videos, SizeIs(3));
  EXPECT_EQ(rest.videos[0].video.id, ids[2]);
  EXPECT_FALSE(rest.has_more);
  EXPECT_EQ(status_of([&] { catalog.list({.after = "video_0"}); }), 404);
}

TEST_F(VideoCatalogTest, RunningVideoTakesAnotherPrompt) {
  VideoCatalog& catalog = start();
  const std::string a = catalog.add(video("a")).video.id;
  EXPECT_EQ(status_of([&] { catalog.change_prompt(a, "night"); }), 409) << "it is queued";
  const VideoCatalog::Task task = take();
  EXPECT_EQ(catalog.change_prompt(a, "night").video.progress.pending_prompt, "night");
  const auto request = task.prompts->next(0, std::stop_token());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->text, "night");
  task.prompts->refuse(*request, "cannot open /srv/models/spiece.model");
  catalog.update(a, Keep::kInMemory, [](Video&) {});
  EXPECT_EQ(catalog.get(a).video.progress.prompt_fault, "the server cannot use this prompt");
  catalog.change_prompt(a, "dawn");
  finish(a, VideoStatus::kCompleted);
  EXPECT_FALSE(catalog.get(a).video.progress.pending_prompt);
  EXPECT_EQ(catalog.get(a).video.progress.prompt_fault, "the video ended before the next frame block");
  EXPECT_EQ(status_of([&] { catalog.change_prompt(a, "noon"); }), 409);
}

}  // namespace
}  // namespace flashblock
