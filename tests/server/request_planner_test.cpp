// From a client's JSON to a video: what is checked, and how errors are worded.
#include "server/request_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>

#include "server/api_error.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr VideoLimits kLimits{.seconds = 60, .pixels = 512 * 512, .prompt_characters = 20, .prompts = 3};

/// The demo model, of which no weights are read.
class RequestPlannerTest : public ::testing::Test {
 protected:
  static std::vector<ConfigLayer> layers(const std::string& more = "{}") {
    std::vector<ConfigLayer> layers = {
        make_config_layer("-m", "model", YAML::Node(test_data("../../assets/demo").string()))};
    for (const auto& setting : YAML::Load(more)) {
      layers.push_back(make_config_layer("--set", setting.first.as<std::string>(), setting.second));
    }
    return layers;
  }

  static RequestPlanner planner(const std::string& more = "{}") {
    static const ModelSizes model;
    return {layers(more), model, kLimits};
  }

  /// The error that a request causes; status 0 if it causes none.
  static HttpError error_of(const Json& request) {
    try {
      planner().plan(request);
    } catch (const ApiError& error) {
      EXPECT_THAT(error.error().message, AllOf(Not(HasSubstr("--")), Not(HasSubstr("/")))) << request;
      return error.error();
    }
    return {.status = 0};
  }
  static std::string param_of(const Json& request) {
    const HttpError error = error_of(request);
    EXPECT_EQ(error.status, 400) << request;
    return error.param;
  }
};

TEST_F(RequestPlannerTest, TakesWhatIsMissingFromTheServersSettings) {
  const Video video = planner("{seconds: 2, seed: 5}").plan({{"prompt", "a hill"}, {"size", nullptr}});
  EXPECT_EQ(video.model, "demo");
  EXPECT_EQ(video.prompt, "a hill");
  EXPECT_EQ(video.width, 256);
  EXPECT_EQ(video.height, 144);
  EXPECT_EQ(video.fps, 16);
  EXPECT_EQ(video.frames, 32);
  EXPECT_EQ(video.seed, 5u);
  EXPECT_TRUE(video.timeline.empty());
  EXPECT_NE(planner().plan({{"prompt", "a"}}).seed, planner().plan({{"prompt", "a"}}).seed) << "drawn for each";
}

TEST_F(RequestPlannerTest, ReadsEveryField) {
  const Json request = {
      {"prompt", "a hill"},         {"model", "demo"},
      {"seconds", "3.5"},           {"size", "64x48"},
      {"seed", "9007199254740991"}, {"timeline", {{{"at", "2"}, {"prompt", "snow"}}, {{"at", 1}, {"prompt", "rain"}}}}};
  const Video video = planner().plan(request);
  EXPECT_EQ(video.frames, 56);
  EXPECT_EQ(video.width, 64);
  EXPECT_EQ(video.height, 48);
  EXPECT_EQ(video.seed, 9007199254740991u);
  ASSERT_EQ(video.timeline.size(), 2u);
  EXPECT_EQ(video.timeline[0].text, "rain") << "in the order of time";
  EXPECT_EQ(video.timeline[1].seconds, 2);
  EXPECT_LT(video.timeline[0].block, video.timeline[1].block);

  const RenderConfig config = planner().config(video);
  EXPECT_EQ(config.prompt, "a hill");
  EXPECT_EQ(config.rendered_frames(), 56);
  EXPECT_EQ(config.width, 64);
  EXPECT_EQ(config.seed, 9007199254740991u);
  ASSERT_EQ(config.timeline.size(), 2u);
  EXPECT_EQ(config.timeline[1].prompt, "snow");
}

TEST_F(RequestPlannerTest, PlansAPlannedVideoTheSameWay) {
  const RequestPlanner planner = RequestPlannerTest::planner();
  const Video video = planner.plan(
      {{"prompt", "yes: [no]"}, {"seconds", 1}, {"timeline", Json::array({{{"at", .7}, {"prompt", "~"}}})}});
  const RenderConfig config = planner.config(video);
  EXPECT_EQ(config.prompt, "yes: [no]") << "text, not YAML";
  EXPECT_EQ(config.timeline.at(0).prompt, "~");
}

TEST_F(RequestPlannerTest, TakesShotsWhereTheModelHasThem) {
  const auto request = [](const Json& shot) {
    return Json{{"prompt", "a"}, {"timeline", Json::array({{{"at", 3}, {"prompt", "b"}, {"shot", shot}}})}};
  };
  const RequestPlanner planner = RequestPlannerTest::planner(
      "{seconds: 6, recipe.shot_offset_frames: 8, recipe.sink_frames: 3, recipe.window_frames: 12,"
      " recipe.kv_recache: false}");
  Video video = planner.plan(request(true));
  video.id = draw_video_id();
  EXPECT_TRUE(planner.config(video).timeline.at(0).shot);
  EXPECT_TRUE(read_stored_video(stored_video(video)).timeline.at(0).shot);
  EXPECT_EQ(video_object(video, 0).at("timeline")[0].at("shot"), true);
  EXPECT_FALSE(video_object(planner.plan(request(false)), 0).at("timeline")[0].contains("shot"));
  EXPECT_EQ(param_of(request("yes")), "timeline.shot");
  EXPECT_EQ(param_of(request(true)), "timeline");
  EXPECT_THAT(error_of(request(true)).message, HasSubstr("has no shots"));
}

TEST_F(RequestPlannerTest, KeysOfTheServersSettingsAreNotNamedToClients) {
  ModelSizes model;
  model.strides.upscale = 2;
  const RequestPlanner planner(
      layers("{recipe.context_rule: recomputed, recipe.window_frames: 6, recipe.sink_frames: 0}"), model, kLimits);
  try {
    planner.plan({{"prompt", "a hill"}});
    FAIL() << "this decoder does not go with the rule";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.error().message, "the server's settings do not allow this video");
  }
}

TEST_F(RequestPlannerTest, ChoicesAreStoredAndShown) {
  Video video = planner().plan({{"prompt", "a hill"}});
  video.id = draw_video_id();
  EXPECT_TRUE(video.choices.empty()) << "the model lists none";
  video.choices = {"in red", "view one"};
  EXPECT_EQ(video_object(video, 0).at("choices"), Json(video.choices));
  Json stored = stored_video(video);
  EXPECT_EQ(read_stored_video(stored).choices, video.choices);
  stored.erase("choices");
  EXPECT_TRUE(read_stored_video(stored).choices.empty()) << "as version 0.1.0 has stored it";
}

TEST_F(RequestPlannerTest, TellsWhichWordsTheModelDoesNotKnow) {
  Video video = planner().plan({{"prompt", "a cat on a hill"}});
  video.id = draw_video_id();
  ASSERT_EQ(video.warnings.size(), 1u);
  EXPECT_THAT(video.warnings.front(), AllOf(HasSubstr("'cat';"), Not(HasSubstr("hill'"))));
  EXPECT_EQ(video_object(video, 0).at("warnings"), Json(video.warnings));
  Json stored = stored_video(video);
  EXPECT_EQ(read_stored_video(stored).warnings, video.warnings);
  stored.erase("warnings");
  EXPECT_TRUE(read_stored_video(stored).warnings.empty()) << "as version 0.1.0 has stored it";
  EXPECT_TRUE(planner().plan({{"prompt", "a hill"}}).warnings.empty());
}

TEST_F(RequestPlannerTest, NamesUnknownKeys) {
  EXPECT_EQ(param_of({{"prompt", "a"}, {"output", "x"}}), "output");
  EXPECT_EQ(error_of({{"prompt", "a"}, {"output", "x"}}).code, "unknown_key");
  EXPECT_EQ(param_of({{"prompt", "a"}, {"timeline", Json::array({{{"at", 1}, {"prompt", "b"}, {"over", 1}}})}}),
            "over");
  EXPECT_EQ(error_of(Json::array()).code, "invalid_json");
  EXPECT_EQ(error_of({{"prompt", "a"}, {"model", "other"}}).status, 404);
  EXPECT_EQ(param_of({{"prompt", "a"}, {"model", 1}}), "model");
}

TEST_F(RequestPlannerTest, HasLimits) {
  EXPECT_EQ(error_of({{"prompt", "a"}, {"seconds", 60}}).status, 0);
  EXPECT_EQ(error_of({{"prompt", "a"}, {"size", "512x512"}}).status, 0);
  for (const Json& seconds : {Json(0), Json(-1), Json(60.01), Json("1e999"), Json("x"), Json(true), Json("")}) {
    EXPECT_EQ(param_of({{"prompt", "a"}, {"seconds", seconds}}), "seconds") << seconds;
  }
  for (const Json& size : {Json("528x512"), Json("9223372036854775807x2"), Json("99999999999999999999x2"), Json("64"),
                           Json("64x"), Json("64x48x"), Json("-64x48"), Json(64)}) {
    EXPECT_EQ(param_of({{"prompt", "a"}, {"size", size}}), "size") << size;
  }
  for (const Json& seed :
       {Json(-1), Json(1.5), Json(9007199254740992), Json("9007199254740992"), Json("0x1"), Json("")}) {
    EXPECT_EQ(param_of({{"prompt", "a"}, {"seed", seed}}), "seed") << seed;
  }
}

TEST_F(RequestPlannerTest, WantsAPrintablePrompt) {
  EXPECT_EQ(error_of({{"prompt", "Höhle\n\t雪"}}).status, 0);
  EXPECT_EQ(error_of({{"prompt", std::string(10, 'a') + "雪雪雪雪雪雪雪雪雪雪"}}).status, 0) << "20 characters";
  for (const Json& prompt : {Json(), Json(1), Json(""), Json(" \n\t"), Json(std::string("a\0b", 3)), Json("a\x1b[2Jb"),
                             Json("a\rb"), Json(std::string(21, 'a')), Json::array({"a"})}) {
    EXPECT_EQ(param_of({{"prompt", prompt}}), "prompt") << prompt;
    EXPECT_EQ(param_of({{"prompt", "a"}, {"timeline", Json::array({{{"at", 1}, {"prompt", prompt}}})}}),
              "timeline.prompt")
        << prompt;
  }
}

TEST_F(RequestPlannerTest, WantsATimelineInsideTheVideo) {
  const auto with = [](const Json& timeline) { return Json{{"prompt", "a"}, {"seconds", 10}, {"timeline", timeline}}; };
  const auto change = [](const Json& at) { return Json{{"at", at}, {"prompt", "b"}}; };
  EXPECT_EQ(error_of(with(Json::array({change(1), change(3), change(5)}))).status, 0);
  EXPECT_EQ(param_of(with(Json::array({change(1), change(3), change(5), change(7)}))), "timeline");
  EXPECT_EQ(param_of(with(Json::object())), "timeline");
  EXPECT_EQ(param_of(with(Json::array({1}))), "timeline");
  EXPECT_EQ(param_of(with(Json::parse(R"([{"at": 1}])"))), "timeline");
  for (const Json& at : {Json(0), Json(-1), Json("x"), Json()}) {
    EXPECT_EQ(param_of(with(Json::array({change(at)}))), "timeline.at") << at;
  }
  EXPECT_EQ(error_of(with(Json::array({change(100)}))).status, 400) << "after the end";
  EXPECT_EQ(error_of(with(Json::array({change(1), change(1.01)}))).status, 400) << "in one frame block";
}

}  // namespace
}  // namespace flashblock
