#include "tests/end_to_end/program_run.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>

#include "app/program.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"
#include "weights/tensor_file.h"

extern char** environ;

namespace flashblock::testing {

namespace {

/// Tests leave the user's cache alone.
class PrivateCache {
 public:
  PrivateCache() { ::setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1); }

 private:
  TemporaryFolder folder_;
};
const PrivateCache private_cache;

}  // namespace

ProgramRun run_program(const std::vector<std::string>& words) {
  std::vector<const char*> arguments = {"flashblock"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  ProgramRun run;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  run.status = flashblock::run_program(static_cast<int>(arguments.size()), arguments.data());
  std::cout.flush();
  run.out = ::testing::internal::GetCapturedStdout();
  run.err = ::testing::internal::GetCapturedStderr();
  return run;
}

ProgramRun run_command(const std::string& command) {
  const TemporaryFolder folder;
  const std::string err = folder / "err";
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>" + err + " </dev/null").c_str(), "r"), pclose);
  ProgramRun run;
  std::array<char, 4096> buffer;
  while (const size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
    run.out.append(buffer.data(), count);
  }
  const int status = pclose(pipe.release());
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  run.err = read_text(err);
  return run;
}

StartedProgram::StartedProgram(const std::vector<std::string>& words, const std::filesystem::path& error_file,
                               const std::filesystem::path& output_file) {
  const char* other = std::getenv("FLASHBLOCK_PROGRAM");
  std::string program = other ? other : FLASHBLOCK_PROGRAM;
  std::vector<std::string> copies = words;
  std::vector<char*> arguments = {program.data()};
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, error_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  EXPECT_EQ(posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments.data(), environ), 0) << program;
  posix_spawn_file_actions_destroy(&actions);
}

StartedProgram::~StartedProgram() {
  if (process_ <= 0) return;
  kill(process_, SIGKILL);
  wait();
}

void StartedProgram::signal(int number) const { kill(process_, number); }

void StartedProgram::limit_files(uint64_t bytes) const {
  const rlimit limit{bytes, bytes};
  EXPECT_EQ(prlimit(process_, RLIMIT_FSIZE, &limit, nullptr), 0);
}

int StartedProgram::wait() {
  int status = 0;
  waitpid(process_, &status, 0);
  process_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int printed_port(const std::filesystem::path& file) {
  for (int i = 0; i < 6000; ++i) {
    const std::string text = std::filesystem::exists(file) ? read_text(file) : "";
    constexpr std::string_view kAddress = "http://127.0.0.1:";
    const size_t at = text.find(kAddress);
    if (at != text.npos && text.find('\n', at) != text.npos) return std::atoi(text.c_str() + at + kAddress.size());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return 0;
}

void write_prompted_model(const std::filesystem::path& folder) {
  const nlohmann::json transformer = {{"dim", 128},     {"num_heads", 2}, {"num_layers", 2},        {"ffn_dim", 128},
                                      {"text_dim", 64}, {"text_len", 16}, {"freq_dim", 64},         {"in_dim", 16},
                                      {"out_dim", 16},  {"eps", 1e-6},    {"patch_size", {1, 2, 2}}};
  const nlohmann::json text = {{"vocab_size", 2304}, {"dim", 64},       {"dim_attn", 64},   {"dim_ffn", 64},
                               {"num_heads", 2},     {"num_layers", 1}, {"num_buckets", 32}};
  std::filesystem::create_directories(folder);
  write_tensor_file(folder / "transformer.safetensors", formula_tensors(transformer_shapes(transformer)));
  write_tensor_file(folder / "umt5.safetensors", formula_tensors(umt5_shapes(text)));
  write_tensor_file(folder / "vae.safetensors", formula_tensors(vae_shapes(8)));
  std::ofstream(folder / "config.json") << transformer.dump();
  std::filesystem::copy_file(test_data("../../assets/demo/spiece.model"), folder / "spiece.model",
                             std::filesystem::copy_options::overwrite_existing);
  std::ofstream(folder / "model.yaml")
      << "name: small\ntransformer: transformer.safetensors\ntext_encoder: umt5.safetensors\n"
         "tokenizer: spiece.model\nvae: vae.safetensors\n"
         "recipe: {frames_per_block: 3, window_frames: 9, sink_frames: 3, steps: [1000, 500]}\n"
         "defaults: {size: 48x32, fps: 16, seconds: 2}\n";
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  EXPECT_TRUE(stream) << file;
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

nlohmann::json read_json(const std::filesystem::path& file) { return nlohmann::json::parse(read_text(file)); }

std::vector<pid_t> children_of(pid_t process) {
  std::vector<pid_t> all;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::ifstream list(task.path() / "children");
    for (pid_t child; list >> child;) all.push_back(child);
  }
  return all;
}

}  // namespace flashblock::testing
