// Parts of the program that need no model.
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <new>

#include "app/command_line.h"
#include "app/config_options.h"
#include "app/info_command.h"
#include "app/interrupt.h"
#include "app/progress.h"
#include "core/error.h"
#include "core/error_report.h"
#include "render/resume.h"
#include "settings/config_file.h"
#include "settings/settings_table.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using ::testing::AllOf;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::Not;

Request parse(std::vector<const char*> words) {
  words.insert(words.begin(), "flashblock");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

TEST(CommandLine, AnswersVersionAndHelp) {
  EXPECT_THAT(*parse({"--version"}).text, HasSubstr("flashblock "));
  EXPECT_THAT(*parse({"--help"}).text, HasSubstr("render"));
  EXPECT_THAT(*parse({"render", "--help"}).text, HasSubstr("--prompt-at"));
}

TEST(CommandLine, KeepsPromptsAsTheyAre) {
  const Request request = parse({"render", "a: b # {c}", "--prompt-at", "2=x=y: z"});
  ASSERT_TRUE(request.render);
  ASSERT_EQ(request.render->layers.size(), 2u);
  EXPECT_EQ(YamlMap(request.render->layers[0].values).require("prompt").text(), "a: b # {c}");
  const YamlValue timeline = YamlMap(request.render->layers[1].values).require("timeline");
  EXPECT_EQ(YamlMap(timeline.list().at(0)).require("prompt").text(), "x=y: z");
}

TEST(CommandLine, ReadsSwitches) {
  const Request request = parse({"render", "a", "--dry-run", "--progress", "json"});
  EXPECT_TRUE(request.render->dry_run);
  EXPECT_FALSE(request.render->quiet);
  EXPECT_EQ(request.render->progress, ProgressStyle::kJson);
  EXPECT_EQ(parse({"render", "a", "--quiet"}).render->progress, ProgressStyle::kNone);
  EXPECT_TRUE(parse({"info", "demo", "--json"}).info->json);
  EXPECT_FALSE(parse({"info", "demo"}).info->json);
  EXPECT_EQ(parse({"info", "demo", "--size", "832x480"}).info->size, "832x480");
}

// tests/settings shows the same for files, identity and docs.
TEST(CommandLine, ARowOfTheSettingsTableIsAllThatAnOptionNeeds) {
  EXPECT_THROW(parse({"render", "a", "--jitter", "3"}), ConfigError);
  const AddedSetting row(
      {.name = "sampler.jitter",
       .field = fields::number(
           fields::field(&RenderConfig::model, &ModelDescription::defaults, &VideoDefaults::seconds), 0, 9),
       .help = "Jitter of the sampler",
       .option = {.names = {"--jitter"}, .group = "Video", .type = "X"}});
  EXPECT_THAT(*parse({"render", "--help"}).text, HasSubstr("--jitter X"));
  for (const Request& request :
       {parse({"render", "a", "--jitter", "3"}), parse({"analyze", "fidelity", "--jitter", "3"}),
        parse({"render", "a", "--set", "sampler.jitter=3"})}) {
    const auto& layers = request.render ? request.render->layers : request.fidelity->analysis.layers;
    RenderConfig config;
    for (const ConfigLayer& layer : layers) read_settings(layer, config);
    EXPECT_EQ(config.model.defaults.seconds, 3);
  }
}

TEST(CommandLine, SaysWhatMayBeMeant) {
  const auto refusal = [](std::vector<const char*> words) { return error_text<ConfigError>([&] { parse(words); }); };
  EXPECT_THAT(refusal({"rendr", "a"}), HasSubstr("unknown command 'rendr', did you mean render?"));
  EXPECT_THAT(refusal({"a red ball"}), HasSubstr("wanted one of render, serve, batch"));
  EXPECT_THAT(refusal({}), HasSubstr("no command, wanted one of render"));
  EXPECT_THAT(refusal({"render", "a", "--overwrite=b"}), HasSubstr("--overwrite: found 'b', wanted no value"));
  EXPECT_THAT(refusal({"render", "a", "--size", "64x64", "--size", "32x32"}),
              HasSubstr("--size: given more than once"));
  EXPECT_THAT(refusal({"analyze", "fidelty"}), HasSubstr("did you mean fidelity?; see flashblock analyze --help"));
  EXPECT_THAT(refusal({"render", "a", "--secnds=5"}), HasSubstr("unknown option '--secnds', did you mean --seconds?"));
  EXPECT_THAT(refusal({"render", "a", "--offload=3"}), HasSubstr("--offload: found '3', wanted no value"));
  EXPECT_THAT(refusal({"serve", "--size", "64x64"}), HasSubstr("wanted --set size=... (WIDTHxHEIGHT in pixels"));
  EXPECT_THAT(refusal({"serve", "--prompt", "a"}), HasSubstr("unknown option '--prompt'; see"));
  EXPECT_THAT(refusal({"render", "a", "--quantize", "int8"}), HasSubstr("wanted --precision native|int8"));
}

TEST(CommandLine, SaysWhatOptionsOfOtherProgramsAreCalledHere) {
  const auto refusal = [](std::vector<const char*> words) { return error_text<ConfigError>([&] { parse(words); }); };
  const auto steps = refusal({"render", "a", "--steps", "4"});
  EXPECT_THAT(steps, HasSubstr("unknown option '--steps', wanted --set recipe.steps=... (a falling list"));
  EXPECT_THAT(steps, HasSubstr(", or --set recipe.unipc_steps=..."));
  EXPECT_THAT(refusal({"render", "a", "--num_inference_steps", "4"}), HasSubstr("recipe.steps"));
  for (const char* word : {"--cfg", "--cfg-scale", "--guidance"})
    EXPECT_THAT(refusal({"render", "a", word, "3"}), HasSubstr("wanted --guidance-scale S")) << word;
  EXPECT_THAT(refusal({"render", "a", "--neg-prompt=b"}), HasSubstr("'--neg-prompt', wanted --negative-prompt TEXT"));
  EXPECT_THAT(refusal({"render", "a", "--width", "832", "--height", "480"}), HasSubstr("'--width', wanted --size WxH"));
  EXPECT_THAT(refusal({"render", "a", "--sink-frames", "3"}), HasSubstr("wanted --set recipe.sink_frames=..."));
  EXPECT_THAT(refusal({"render", "a", "--recipe.sink_frames=3"}), HasSubstr("wanted --set recipe.sink_frames=..."));
  EXPECT_THAT(refusal({"render", "a", "--force"}), HasSubstr("wanted --overwrite"));
  EXPECT_THAT(refusal({"render", "a", "b", "--steps", "4"}), HasSubstr("recipe.steps")) << "behind another argument";
  EXPECT_THAT(refusal({"serve", "--steps", "4"}), HasSubstr("recipe.steps"));
  EXPECT_THAT(refusal({"batch", "jobs.yaml", "--seed", "4"}), HasSubstr("'--seed': what videos are like stands in"));
  EXPECT_THAT(refusal({"text", "a", "--cfg", "4"}), Not(HasSubstr("guidance"))) << "it has none";
}

TEST(CommandLine, TakesLorasAndGuidance) {
  const Request request = parse({"render", "a", "--lora", "/l/a.safetensors=0.5", "--lora", "/l/c.pt",
                                 "--negative-prompt", "dull: x", "--guidance-scale", "3.5"});
  RenderConfig config;
  for (const ConfigLayer& layer : request.render->layers) read_settings(layer, config);
  ASSERT_EQ(config.model.lora.size(), 2U);
  EXPECT_EQ(config.model.lora[0].path, "/l/a.safetensors");
  EXPECT_EQ(config.model.lora[0].scale, 0.5);
  EXPECT_EQ(config.model.lora[1].path, "/l/c.pt");
  EXPECT_EQ(config.model.recipe.negative_prompt, "dull: x");
  EXPECT_EQ(config.model.recipe.guidance_scale, 3.5);
  config.metadata = false;
  config.seed = 1;
  EXPECT_THAT(resume_command(config), HasSubstr("--negative-prompt 'dull: x'"));
}

TEST(CommandLine, RefusesWhatMakesNoSense) {
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{},
                                             {"paint"},
                                             {"render", "a", "--colour"},
                                             {"render", "a", "b"},
                                             {"render", "a", "--prompt", "b"},
                                             {"render", "--prompt", "a", "--prompt-file", "b"},
                                             {"render", "a", "--frames", "3", "--seconds", "1"},
                                             {"render", "a", "--image", "a.png", "--video", "b.mp4"},
                                             {"render", "a", "--progress", "loud"},
                                             {"render", "a", "--set", "seed"},
                                             {"render", "a", "--set", "recipe.steps=[1"},
                                             {"render", "a", "--prompt-at", "night"},
                                             {"render", "a", "--config", "/nowhere.yaml"},
                                             {"info"}}) {
    const std::string message = error_text<ConfigError>([&] { parse(words); });
    EXPECT_THAT(message, Not(HasSubstr("\n")));
    EXPECT_FALSE(message.empty());
  }
}

TEST(ErrorReport, MapsErrorsToStatusAndOneLine) {
  const auto report = [](auto error) { return report_error(std::make_exception_ptr(error)); };
  EXPECT_EQ(report(ConfigError("a")).status, ExitStatus::kConfig);
  EXPECT_EQ(report(WeightsError("a")).status, ExitStatus::kWeights);
  EXPECT_EQ(report(DeviceError("a")).status, ExitStatus::kDevice);
  EXPECT_EQ(report(MediaError("a\nb")).line, "a b");
  EXPECT_EQ(report(std::bad_alloc()).status, ExitStatus::kDevice);
  EXPECT_EQ(report(std::logic_error("x")).status, ExitStatus::kInternal);
  const std::filesystem::filesystem_error denied("status", "/a/b", std::make_error_code(std::errc::permission_denied));
  EXPECT_EQ(report(denied).line, "cannot use the file /a/b: Permission denied");
  const ErrorReport memory = report(c10::OutOfMemoryError(
      {__func__, __FILE__, __LINE__}, "CUDA out of memory. Tried to allocate 2 GiB.\nframe #0: nonsense"));
  EXPECT_EQ(memory.status, ExitStatus::kDevice);
  EXPECT_THAT(memory.line, HasSubstr("render smaller frames with size"));
  EXPECT_THAT(error_line(memory.message, memory.remedies, option_of), HasSubstr("smaller frames with --size"));
  EXPECT_THAT(memory.line, Not(HasSubstr("frame #0")));
  EXPECT_EQ(report(c10::Error({__func__, __FILE__, __LINE__}, "CUDA error: an illegal memory access")).status,
            ExitStatus::kDevice);
  EXPECT_EQ(report(c10::Error({__func__, __FILE__, __LINE__}, "mat1 and mat2 shapes")).status, ExitStatus::kInternal);
}

TEST(Interrupt, TurnsASignalIntoARequest) {
  {
    const Interrupt interrupt;
    EXPECT_FALSE(interrupt.token().stop_requested());
    raise(SIGTERM);
    for (int i = 0; i < 200 && !interrupt.token().stop_requested(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_TRUE(interrupt.token().stop_requested());
    EXPECT_EQ(interrupt.signal(), SIGTERM);
  }
  const Interrupt next;
  EXPECT_EQ(next.signal(), 0);
  EXPECT_FALSE(next.token().stop_requested());
}

TEST(InterruptDeathTest, NothingInWorkEndsAtOnceWithTheLastWords) {
  EXPECT_EXIT(
      {
        Interrupt interrupt([](int signal) { std::cerr << "last words " << signal << std::endl; });
        interrupt.set_patience(Interrupt::Patience::kNone);
        raise(SIGTERM);
        std::this_thread::sleep_for(std::chrono::seconds(30));
      },
      ::testing::ExitedWithCode(128 + SIGTERM), "last words 15");
}

TEST(InterruptDeathTest, SecondSignalEndsAtOnceEvenAnotherOne) {
  EXPECT_EXIT(
      {
        const Interrupt interrupt;
        raise(SIGINT);
        raise(SIGTERM);
        std::this_thread::sleep_for(std::chrono::seconds(30));
      },
      ::testing::KilledBySignal(SIGTERM), "");
}

TEST(CommandLine, NamesTheOptionOfAKey) {
  const auto advice = [](std::vector<const char*> words, const std::vector<Remedy>& remedies) {
    return error_line("out of memory", possible_remedies(remedies, parse(std::move(words)).options), option_of);
  };
  const std::vector<Remedy> all = {{"smaller", "size", ""},
                                   {"a window", "recipe.window_frames", ""},
                                   {"on the CPU", "device", "cpu"},
                                   {"replace it", "overwrite", "true"}};
  EXPECT_EQ(advice({"text", "a"}, all), "out of memory: on the CPU with --device cpu, or replace it with --overwrite");
  EXPECT_THAT(advice({"render", "a"}, all), AllOf(HasSubstr("--size"), HasSubstr("--set recipe.window_frames=...")));
  EXPECT_EQ(advice({"info", "a"}, all), "out of memory: smaller with --size");
  EXPECT_EQ(advice({"doctor"}, all), "out of memory");

  EXPECT_EQ(option_of({.key = "overwrite", .value = "true"}), "--overwrite");
  EXPECT_EQ(option_of({.key = "cache", .value = "false"}), "--no-cache");
  EXPECT_EQ(option_of({.key = "cache", .value = "true"}), "--set cache=true");
  EXPECT_EQ(option_of({.key = "dtype", .value = "float32"}), "--dtype float32");
  EXPECT_EQ(option_of({.key = "timeline"}), "--prompt-at");
  EXPECT_EQ(option_of({.key = "output"}), "--output");
  EXPECT_EQ(option_of({.key = "recipe.window_frames"}), "--set recipe.window_frames=...");
  EXPECT_EQ(option_of({.key = "no_token"}), "--no-token") << "an option of serve";
  EXPECT_EQ(option_of({.key = "token", .value = "auto"}), "--token auto");
}

TEST(ResumeCommand, IsQuotedForAShell) {
  EXPECT_EQ(shell_word("/tmp/video-1.mp4"), "/tmp/video-1.mp4");
  EXPECT_EQ(shell_word("a video's end"), "'a video'\\''s end'");
  EXPECT_EQ(shell_word(""), "''");
  RenderConfig config;
  config.output = "/videos/$HOME.mp4";
  config.prompt = "a balloon";
  EXPECT_EQ(resume_command(config), "flashblock render --resume --output '/videos/$HOME.mp4'");
  config.metadata = false;
  config.timeline = {{.seconds = 2.5, .prompt = "it's night"}};
  EXPECT_EQ(
      resume_command(config),
      "flashblock render --resume --output '/videos/$HOME.mp4' --prompt 'a balloon' --prompt-at '2.5=it'\\''s night'");
  config.timeline.clear();
  config.model.recipe.negative_prompt = "dull: grey";
  EXPECT_THAT(resume_command(config), HasSubstr("--negative-prompt 'dull: grey'"));
}

TEST(Progress, WritesClockTimes) {
  EXPECT_EQ(clock_text(0.4), "0:00");
  EXPECT_EQ(clock_text(83), "1:23");
  EXPECT_EQ(clock_text(3600 + 61), "1:01:01");
}

TEST(Progress, JsonHasBlockAndBlocksInEveryLine) {
  ::testing::internal::CaptureStderr();
  const auto progress = make_progress(ProgressStyle::kJson);
  progress->stage("rendering", {.blocks = 4});
  progress->progress({.block = 1, .blocks = 4, .frames = 9});
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("\"stage\":\"rendering\",\"block\":0,\"blocks\":4"));
  EXPECT_THAT(text, HasSubstr("\"block\":1,\"blocks\":4,\"frames\":9"));
  EXPECT_THAT(text, HasSubstr("eta_seconds"));
}

TEST(Progress, NoneIsSilentAndTheBarNamesTheStage) {
  const auto shown = [](ProgressStyle style) {
    ::testing::internal::CaptureStderr();
    {
      const auto progress = make_progress(style);
      progress->stage("rendering", {.blocks = 4});
      progress->progress({.block = 2, .blocks = 4, .frames = 21});
    }
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(shown(ProgressStyle::kNone), "");
  EXPECT_THAT(shown(ProgressStyle::kBar), HasSubstr("block 2/4"));
  EXPECT_EQ(shown(ProgressStyle::kAuto), "") << "standard error is no terminal here";
}

TEST(MemoryText, NamesEachDevice) {
  MemoryEstimate memory{.host = {{"the program", 1'000'000}}, .host_bytes = 2'000'000};
  EXPECT_EQ(memory_text(memory, "# "), "# expected memory: 2.0 MB\n#   the program: 1.0 MB\n");
  memory.devices = {{"cuda:0", {{"denoising", 3'000'000}, {"decoding", 1'000'000}}, 4'000'000}};
  EXPECT_EQ(memory_text(memory, ""),
            "expected memory: 2.0 MB, and 4.0 MB on the GPU\n  the program: 1.0 MB\n"
            "  on the GPU, denoising: 3.0 MB\n  on the GPU, decoding: 1.0 MB\n");
  memory.devices.push_back({"cuda:2", {{"denoising", 3'000'000}}, 3'000'000});
  EXPECT_EQ(memory_text(memory, ""),
            "expected memory: 2.0 MB, and 4.0 MB on cuda:0, and 3.0 MB on cuda:2\n  the program: 1.0 MB\n"
            "  on cuda:0, denoising: 3.0 MB\n  on cuda:0, decoding: 1.0 MB\n  on cuda:2, denoising: 3.0 MB\n");
}

}  // namespace
}  // namespace flashblock
