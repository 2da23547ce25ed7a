#include "app/bench_command.h"

#include <stdlib.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/bench_report.h"
#include "analysis/benchmark.h"
#include "analysis/device_benchmark.h"
#include "analysis/synthetic_model.h"
#include "analysis/text_benchmark.h"
#include "app/interrupt.h"
#include "core/atomic_file.h"
#include "core/device.h"
#include "core/error.h"
#include "core/html_page.h"
#include "core/plain_text.h"
#include "core/process_group.h"
#include "language/language_folder.h"
#include "models/planned_product.h"
#include "render/device_group.h"
#include "render/own_file.h"
#include "settings/model_file.h"
#include "settings/setting.h"
#include "settings/text_settings.h"

namespace flashblock {
namespace {

/// A new temporary folder, deleted at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "flashblock-bench-XXXXXX").string();
    if (!mkdtemp(name.data())) throw MediaError("cannot create " + name + ": " + std::strerror(errno));
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// FRAMES or FRAMES:SINK.
BenchmarkWindow read_window(const std::string& text) {
  BenchmarkWindow window;
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, window.frames);
  if (read.ec == std::errc() && read.ptr != end && *read.ptr == ':')
    read = std::from_chars(read.ptr + 1, end, window.sink_frames);
  if (read.ec != std::errc() || read.ptr != end || (window.frames < 1 && window.frames != -1) ||
      window.frames > fields::kMostFrames || window.sink_frames < 0 || window.sink_frames > fields::kMostFrames)
    throw ConfigError("--window: found '" + text +
                      "', wanted FRAMES or FRAMES:SINK in latent frames, such as 21 or 12:3; -1 for the whole video");
  return window;
}

std::vector<BenchmarkWindow> read_windows(const BenchRequest& request, const Recipe& recipe) {
  std::vector<BenchmarkWindow> windows;
  for (const std::string& text : request.windows) windows.push_back(read_window(text));
  if (windows.empty()) windows.push_back({.frames = recipe.window_frames, .sink_frames = recipe.sink_frames});
  for (const BenchmarkWindow& window : windows) {
    Recipe its = recipe;
    its.window_frames = window.frames;
    its.sink_frames = window.sink_frames;
    check_recipe(its, "--window");
  }
  return windows;
}

RenderConfig configuration(const BenchRequest& request) {
  if (request.geometry.empty()) return resolve_config(request.layers);
  return resolve_config(request.layers, random_description(parse_geometry(request.geometry)));
}

ModelOptions model_of(const BenchRequest& request, const RenderConfig& config, at::Device device,
                      at::ScalarType dtype) {
  ModelOptions options = model_options(config);
  options.embedding_cache.clear();  // the second run would find the embedding there
  if (!request.geometry.empty()) options.weights = random_weights(parse_geometry(request.geometry), device, dtype);
  return options;
}

/// The given values, or the one that stands for none.
std::vector<int64_t> values_or(const std::vector<int64_t>& values, int64_t otherwise) {
  return values.empty() ? std::vector<int64_t>{otherwise} : values;
}

std::vector<TextCase> text_cases(const BenchRequest& request, int64_t block_size) {
  std::vector<TextCase> cases;
  for (const int64_t context : values_or(request.contexts, 1024))
    for (const int64_t batch : values_or(request.batches, 1))
      for (const int64_t block : values_or(request.block_sizes, block_size))
        cases.push_back({.context = context / block * block, .batch = batch, .block_size = block});
  return cases;
}

/// A language model to time.
struct BenchedLanguageModel {
  std::string name;
  LanguageConfig config;
  std::function<std::shared_ptr<const LanguageModel>(at::Device device, at::ScalarType dtype)> load;
};

/// None: it is a video model.
std::optional<BenchedLanguageModel> language_model_of(const BenchRequest& request) {
  if (is_published_language_geometry(request.geometry)) {
    const LanguageConfig config = published_language_geometry(request.geometry);
    const auto load = [config](at::Device device, at::ScalarType dtype) {
      return LanguageModel::load(random_language_weights(config, device, dtype), config, device, dtype);
    };
    return BenchedLanguageModel{request.geometry + " with random weights", config, load};
  }
  const auto path = request.model.empty() ? std::nullopt : language_folder(request.model);
  if (!path) return {};
  const LanguageFolder folder{.path = *path, .config = read_language_config(*path)};
  const auto load = [folder](at::Device device, at::ScalarType dtype) {
    return load_language_model(folder, device, dtype);
  };
  return BenchedLanguageModel{request.model, folder.config, load};
}

int run_language_bench(const BenchRequest& request, const BenchedLanguageModel& benched) {
  TextConfig config;
  for (const ConfigLayer& layer : request.layers) read_text_settings(layer, config);
  validate(config);
  AttentionConfig exact = config.attention;
  exact.mode = AttentionConfig::Mode::kExact;
  if (config.attention.mode == exact.mode)
    throw ConfigError("the benchmark compares exact with reused attention: leave out --attention exact");
  const at::Device device = resolve_device(config.device);
  const at::ScalarType dtype = resolve_dtype(config.dtype, device);
  const int64_t block = config.decoding.block_size > 0 ? config.decoding.block_size : benched.config.block_size;
  const TextBenchmarkOptions options{
      .cases = text_cases(request, block),
      .modes = {{.name = "exact", .attention = exact},
                {.name = to_string(config.attention.refresh), .attention = config.attention}},
      .steps = config.decoding.steps,
      .rounds = request.rounds};
  const auto model = benched.load(device, dtype);
  int status = 0;
  const auto measured = run_until_interrupted(
      status, [&](const std::stop_token& stop) { return run_text_benchmark(*model, options, stop); });
  if (!measured) return status;
  std::cout << benched.name << ", " << describe_device(device) << ", " << dtype_name(dtype) << "\n"
            << text_bench_table(*measured);
  if (request.json.empty()) return 0;
  nlohmann::ordered_json json = {{"program", "flashblock " FLASHBLOCK_VERSION},
                                 {"model", benched.name},
                                 {"device", device.str()},
                                 {"device_name", describe_device(device)},
                                 {"dtype", dtype_name(dtype)},
                                 {"steps", options.steps},
                                 {"blocks", options.blocks}};
  json.update(text_bench_json(*measured));
  write_file_atomically(request.json, json_text(json, 2));
  return 0;
}

/// The fastest algorithms for the linears of a frame block, as rows of the table.
int run_tune_linears(const BenchRequest& request, const RenderConfig& config, const LoadedModel& model) {
  if (model.dtype() != at::kBFloat16)
    throw ConfigError("linears are tuned in bfloat16, found " + dtype_name(model.dtype()), {.key = "dtype"});
  const RenderSetup setup = set_up_render(config, model.sizes());
  const int64_t tokens = setup.geometry.tokens_per_frame() * config.model.recipe.frames_per_block;
  std::string lines;
  tune_products(layer_products(model.transformer_config(), tokens), model.device(),
                [&](const ProductRow& row, bool kept) {
                  std::cout << product_line(row) << (kept ? "" : "  # left out: as fast without") << std::endl;
                  if (kept) lines += product_line(row) + "\n";
                });
  write_file_atomically(request.tune_linears, lines);
  return 0;
}

/// The transformer on several devices beside the first of them.
int run_several_devices(const BenchRequest& request, const RenderConfig& config, LoadedModel& model,
                        const std::vector<BenchmarkWindow>& windows, const std::vector<at::Device>& devices) {
  RenderSetup setup = set_up_render(config, model.sizes());
  DeviceGroup group(devices);
  std::cout << config.model.name << ", " << devices.size() << " x " << describe_device(devices.front()) << ", "
            << dtype_name(model.dtype()) << "\n";
  nlohmann::ordered_json json = {{"program", "flashblock " FLASHBLOCK_VERSION},
                                 {"model", config.model.name},
                                 {"device_name", describe_device(devices.front())},
                                 {"dtype", dtype_name(model.dtype())},
                                 {"windows", nlohmann::ordered_json::array()}};
  for (const BenchmarkWindow& window : windows) {
    setup.config.model.recipe.window_frames = window.frames;
    setup.config.model.recipe.sink_frames = window.sink_frames;
    int status = 0;
    const auto measured = run_until_interrupted(status, [&](const std::stop_token& stop) {
      try {
        return run_device_benchmark(setup, model, group, request.geometry, request.rounds, stop);
      } catch (const ProcessLost& lost) {
        throw group.explain(lost);
      }
    });
    if (!measured) return status;
    std::cout << "window " << window.frames << ":" << window.sink_frames << "\n"
              << device_bench_table(*measured, setup);
    nlohmann::ordered_json its = device_bench_json(*measured);
    its["window_frames"] = window.frames;
    its["sink_frames"] = window.sink_frames;
    json["windows"].push_back(std::move(its));
  }
  if (!request.json.empty()) write_file_atomically(request.json, json_text(json, 2));
  return 0;
}

/// Before anything is measured.
void check_report_files(const BenchRequest& request) {
  if (!request.tune_linears.empty())
    check_report_file(request.tune_linears, request.overwrite, {request.product_table});
  if (request.json.empty()) return;
  if (request.json.extension() != ".json")
    throw ConfigError("--json " + request.json.string() + ": wanted a name that ends in .json; the page has .html");
  const std::filesystem::path page = std::filesystem::path(request.json).replace_extension(".html");
  for (const std::filesystem::path& file : {request.json, page}) check_report_file(file, request.overwrite);
}

}  // namespace

BenchCommand::BenchCommand(CLI::App& app)
    : command_(*app.add_subcommand(
          "bench", "Time attention, transformer and whole videos with exact and with reused attention, in one run")),
      options_(command_) {
  const std::string group = "Benchmark";
  auto* geometry =
      command_
          .add_option("--geometry", request_.geometry,
                      "A model of this size with random weights, generated in memory: wan2.1-1.3b, wan2.1-14b, "
                      "wan2.2-5b, longlive-2-5b, demo, or width=W,layers=N,heads=N,ffn=W; a language model: sdar-1.7b, "
                      "sdar-4b, sdar-8b")
          ->type_name("NAME")
          ->group(group);
  command_
      .add_option("--window", request_.windows,
                  "Latent frames attended to, and those of them that are never evicted, such as 21 or 12:3; repeatable "
                  "[from the model]")
      ->type_name("FRAMES[:SINK]")
      ->group(group)
      ->allow_extra_args(false);
  command_.add_option("--rounds", request_.rounds, "Runs of each mode")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str()
      ->group(group);
  command_.add_option("--video-rounds", request_.video_rounds, "Videos of each mode [as many as --rounds]")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->group(group);
  const auto leave_out = [&](const char* option, bool& part, const char* help) {
    command_
        .add_flag_callback(
            option, [&part] { part = false; }, help)
        ->group(group);
  };
  const auto add_list = [&](const char* option, std::vector<int64_t>& values, const char* help) {
    command_.add_option(option, values, help)
        ->type_name("N")
        ->check(CLI::Range(1, 1'000'000))
        ->allow_extra_args(false)
        ->group("Language model");
  };
  add_list("--context", request_.contexts, "Tokens before the text that is decoded; repeatable [1024]");
  add_list("--batch", request_.batches, "Texts decoded in step; repeatable [1]");
  add_list("--block-size", request_.block_sizes, "Tokens decoded together; repeatable [the model's]");
  leave_out("--no-exact", request_.exact, "Leave out exact attention, and the speedups over it");
  leave_out("--no-video", request_.videos, "Leave out whole videos: time frame blocks only");
  leave_out("--no-text", request_.text, "Leave out the text encoder");
  leave_out("--no-small-vae", request_.small_vae, "Leave out the small decoder, TAEHV");
  command_.add_option("--json", json_, "Write all times to this file, and a page, FILE.html, beside it")
      ->type_name("FILE.json")
      ->group(group);
  command_
      .add_option(
          "--tune-linears", tune_linears_,
          "Instead: find the fastest cuBLASLt algorithms for the linears of this model and size on this GPU, in "
          "bfloat16, and write them to FILE as rows of models/product_table.txt")
      ->type_name("FILE")
      ->group(group);
  command_.add_option("--product-table", product_table_, "Use these rows in place of the table that is built in")
      ->type_name("FILE")
      ->group(group);
  command_.add_flag("--overwrite", request_.overwrite, "Replace these files if they exist")->group(group);
  for (const char* key : {"seconds", "frames", "size"}) options_.add_key(key);
  options_.add_group("Model");
  geometry->excludes(command_.get_option("--model"));
  options_.add_configuration();
}

std::optional<BenchRequest> BenchCommand::request() {
  if (!command_.parsed()) return {};
  request_.json = json_;
  request_.product_table = product_table_;
  request_.tune_linears = tune_linears_;
  if (const CLI::Option* model = command_.get_option("--model"); model->count() > 0)
    request_.model = model->results().back();
  request_.layers = options_.layers();
  return std::move(request_);
}

int run_bench(const BenchRequest& asked) {
  check_report_files(asked);
  if (!asked.product_table.empty())
    use_product_table(
        ProductTable(read_text_file(asked.product_table, "a table of products"), asked.product_table.string()));
  if (const auto language = language_model_of(asked)) return run_language_bench(asked, *language);
  if (!asked.contexts.empty() || !asked.batches.empty() || !asked.block_sizes.empty())
    throw ConfigError(
        "--context, --batch and --block-size are those of a language model: give one with --model or --geometry");
  BenchRequest request = asked;
  request.layers.push_back(make_config_layer("bench", "prompt", YAML::Node("random numbers")));
  const RenderConfig config = configuration(request);
  benchmark_modes(config.attention);  // throws before anything is loaded
  const std::vector<BenchmarkWindow> windows = read_windows(request, config.model.recipe);
  const std::vector<at::Device> devices = resolve_devices(config.device, config.devices_per_video);
  const at::Device device = devices.front();
  const at::ScalarType dtype = resolve_dtype(config.dtype, device);
  Profile profile;
  LoadedModel model(config.model, device, dtype, profile, model_of(request, config, device, dtype));
  if (!request.tune_linears.empty()) return run_tune_linears(request, config, model);
  if (devices.size() > 1) return run_several_devices(request, config, model, windows, devices);
  const RenderSetup setup = set_up_render(config, model.sizes());
  const ScratchFolder scratch;
  const BenchmarkOptions options{.windows = windows,
                                 .rounds = request.rounds,
                                 .video_rounds = request.video_rounds > 0 ? request.video_rounds : request.rounds,
                                 .exact = request.exact,
                                 .videos = request.videos,
                                 .text = request.text,
                                 .small_vae = request.small_vae,
                                 .drawn_frames = !request.geometry.empty(),
                                 .scratch = scratch.path()};
  int status = 0;
  const auto measured = run_until_interrupted(
      status, [&](const std::stop_token& stop) { return run_benchmark(setup, model, options, stop); });
  if (!measured) return status;
  const BenchReport report{.setup = setup, .model = model, .measured = *measured};
  std::cout << bench_table(report);
  if (request.json.empty()) return 0;
  const nlohmann::ordered_json json = bench_json(report);
  write_file_atomically(request.json, json_text(json, 2));
  write_page(std::filesystem::path(request.json).replace_extension(".html"), bench_page(), json);
  return 0;
}

}  // namespace flashblock
