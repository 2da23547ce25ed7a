#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <optional>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "app/about_commands.h"
#include "app/batch_options.h"
#include "app/config_options.h"
#include "app/serve_command.h"
#include "core/error.h"
#include "core/plain_text.h"
#include "language/language_config.h"
#include "settings/strict_yaml.h"

namespace flashblock {
namespace {

/// The command `render` and what it collects.
class RenderCommand {
 public:
  explicit RenderCommand(CLI::App& app)
      : command_(*app.add_subcommand("render", "Render one video from a prompt")), options_(command_) {
    options_.add_all();
    const OptionGroup run(command_, "Run");
    run.add_flag("--dry-run", request_.dry_run,
                 "Check everything, print the resolved configuration and what the video will take");
    run.add_flag("--expand-only", request_.expand_only,
                 "Print the prompts that --expand writes, as a configuration file, and render nothing");
    add_progress(run, request_.quiet, request_.progress);
    // A flag, so that it does not take a prompt that comes after it for an address: see join_addresses.
    preview_ = command_
                   .add_flag("--preview{127.0.0.1:8080}", address_,
                             "[ADDRESS:PORT]  Watch it in a browser while it renders [127.0.0.1:8080]")
                   ->group("Server");
    access_.emplace(command_);
  }

  std::optional<RenderRequest> request() {
    if (!command_.parsed()) return {};
    if (request_.quiet) request_.progress = ProgressStyle::kNone;
    request_.layers = options_.layers();
    if (request_.expand_only) request_.layers.push_back(yaml_layer("--expand-only", "resume", "false"));
    if (preview_->count() > 0) {
      request_.preview = {.address = parse_server_address("--preview", address_), .access = access_->access()};
      check_access(request_.preview->address.address, request_.preview->access);
    }
    return std::move(request_);
  }

 private:
  CLI::App& command_;
  ConfigOptions options_;
  std::optional<AccessCommandOptions> access_;  // after all others in --help
  RenderRequest request_;
  std::string address_;
  CLI::Option* preview_ = nullptr;
};

/// Throws: ConfigError for an argument that is no text, before it is taken for a name or a prompt.
void check_arguments(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i], before = argv[i - 1];
    const std::string fault = text_fault(word);
    if (fault.empty()) continue;
    std::string name = "argument " + std::to_string(i);
    if (before.starts_with("-")) name += ", after " + before + ",";
    if (word.starts_with("--")) name = word.substr(0, word.find('='));
    throw ConfigError(name + " " + fault + ", in '" + std::string(text_beginning(word, 60)) + "'");
  }
}

/// The words of the command line, `--preview ADDRESS:PORT` as `--preview=ADDRESS:PORT`, and `--expand MODEL` likewise
/// where MODEL is one: after both, the prompt may follow.
std::vector<std::string> join_addresses(int argc, const char* const* argv) {
  static const std::regex address(R"((\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):\d+|\d+)");
  std::vector<std::string> words(argv + 1, argv + argc);
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "--") break;
    const bool has_value = (words[i] == "--preview" && std::regex_match(words[i + 1], address)) ||
                           (words[i] == "--expand" && is_language_model(words[i + 1]));
    if (!has_value) continue;
    words[i] += "=" + words[i + 1];
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
  std::reverse(words.begin(), words.end());  // as CLI11 wants it
  return words;
}

/// The command that was being read when reading failed: the innermost one named so far.
const CLI::App& innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : innermost(*chosen.front());
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() ? full_name(*app.get_parent()) + " " + app.get_name() : app.get_name();
}

std::string unknown_word(const std::string& kind, const std::string& word, const std::vector<std::string>& known) {
  const std::string meant = nearest_word(word, known);
  return "unknown " + kind + " '" + word + "'" + (meant.empty() ? "" : ", did you mean " + meant + "?");
}

/// What is wrong with a command line that names no command where one must come.
std::string no_command(const CLI::App& app, const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* c) { return !c->get_group().empty(); })) {
    names.push_back(command->get_name());
  }
  const std::string list = joined(names);
  if (words.empty()) return "no command, wanted one of " + list;
  const std::string unknown = unknown_word("command", words.front(), names);
  return unknown.back() == '?' ? unknown : unknown + ", wanted one of " + list;
}

bool has_option(const CLI::App& app, const std::string& name) { return app.get_option_no_throw(name) != nullptr; }

std::string unknown_option(const std::string& word, const CLI::App& app) {
  const std::string front = "unknown option '" + word + "'";
  const std::string name = word.substr(std::min(word.find_first_not_of('-'), word.size()));
  const bool configures = has_option(app, "--set") && has_option(app, "--config");
  if (configures) {
    std::string instead;
    for (const std::string& setting : settings_called(name, app)) instead += (instead.empty() ? "" : ", or ") + setting;
    if (!instead.empty()) return front + ", wanted " + instead;
  }
  if (app.get_name() == "batch" && !settings_called(name, app).empty())
    return front + ": what videos are like stands in the jobs file, for all of them under `defaults`";
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& known : option->get_lnames()) names.push_back("--" + known);
  }
  return unknown_word("option", word, names);
}

std::string what_is_wrong(const CLI::ParseError& error, const CLI::App& app) {
  const std::vector<std::string> words = app.remaining();
  if (dynamic_cast<const CLI::RequiredError*>(&error) && app.get_subcommands().empty() &&
      app.get_require_subcommand_min() > 0) {
    return no_command(app, words);
  }
  const std::string what = error.what();
  if (const size_t twice = what.find("At Most 1 required"); twice != what.npos)
    return what.substr(0, twice) + "given more than once; keep one";
  const auto unknown = std::find_if(words.begin(), words.end(), [](const std::string& word) {
    return word.size() > 1 && word[0] == '-' && (std::isalpha(static_cast<unsigned char>(word[1])) || word[1] == '-');
  });
  if (!dynamic_cast<const CLI::ExtrasError*>(&error) || unknown == words.end()) return what;
  return unknown_option(unknown->substr(0, unknown->find('=')), app);
}

/// Throws: ConfigError for `--flag=VALUE`, where CLI11 takes numbers, too, or hands the value to std::stoll.
void check_flags(const CLI::App& app, int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    const CLI::Option* flag = equals == word.npos ? nullptr : app.get_option_no_throw(word.substr(0, equals));
    if (!flag || flag->get_items_expected_max() > 0) continue;
    const std::string value = word.substr(equals + 1);
    if (value != "true" && value != "false")
      throw ConfigError(word.substr(0, equals) + ": found '" + value + "', wanted no value, or true or false");
  }
}

}  // namespace

Request parse_command_line(int argc, const char* const* argv) {
  check_arguments(argc, argv);
  CLI::App app("Renders minute-long videos from text prompts.", "flashblock");
  app.require_subcommand(1);
  RenderCommand render(app);
  ServeCommandOptions serve(app);
  BatchOptions batch(app);
  AnalyzeOptions analyze(app);
  BenchCommand bench(app);
  CalibrateCommand calibrate(app);
  TextCommand text(app);
  InfoRequest info;
  CLI::App* info_command = app.add_subcommand("info", "Say what a checkpoint or a model folder is");
  info_command->add_option("PATH", info.model, "A weights file, a model file, a folder, or a model's name")->required();
  info_command->add_option("--size", info.size, "Also say how much memory videos of this size take")
      ->type_name("WIDTHxHEIGHT");
  info_command->add_flag("--json", info.json, "As JSON");
  DoctorRequest doctor;
  CLI::App* doctor_command =
      app.add_subcommand("doctor", "Say what is installed, and which device, kernels, memory and disk a render has");
  doctor_command->add_flag("--json", doctor.json, "As JSON");
  AboutCommands about(app);
  std::vector<int> device_process;
  app.add_subcommand("device-process", "")->group("")->add_option("DESCRIPTORS", device_process);
  try {
    app.parse(join_addresses(argc, argv));
  } catch (const CLI::CallForVersion&) {
    return {.text = about.version()};
  } catch (const CLI::Success& asked) {
    std::ostringstream text;
    app.exit(asked, text, text);
    return {.text = text.str()};
  } catch (const CLI::ParseError& error) {
    const CLI::App& command = innermost(app);
    throw ConfigError(what_is_wrong(error, command) + "; see " + full_name(command) + " --help");
  } catch (const std::logic_error&) {
    check_flags(innermost(app), argc, argv);
    throw;
  }
  check_flags(innermost(app), argc, argv);
  if (auto text = about.text()) return {.text = std::move(text)};
  Request request{.render = render.request(),
                  .serve = serve.request(),
                  .batch = batch.request(),
                  .batch_worker = batch.is_worker(),
                  .device_process = std::move(device_process),
                  .fidelity = analyze.fidelity(),
                  .bench = bench.request(),
                  .redundancy = analyze.redundancy(),
                  .calibrate = calibrate.request()};
  if (info_command->parsed()) request.info = info;
  if (doctor_command->parsed()) request.doctor = doctor;
  for (const CLI::Option* option : innermost(app).get_options())
    for (const std::string& name : option->get_lnames()) request.options.insert("--" + name);
  if (!request.options.contains("--config")) request.options.erase("--set");
  request.decode_text = text.request();
  request.text_analysis = analyze.text();
  return request;
}

}  // namespace flashblock
