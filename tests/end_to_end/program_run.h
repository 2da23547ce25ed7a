// The program, run from tests, and small models for it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace flashblock::testing {

/// What a run of the program left.
struct ProgramRun {
  int status = 0;
  std::string out, err;
};

/// Runs the program in this process.
ProgramRun run_program(const std::vector<std::string>& words);

/// Runs a command of the shell, ffmpeg say. Its input is empty.
ProgramRun run_command(const std::string& command);

/// The program as an executable file, started and not waited for. FLASHBLOCK_PROGRAM in the environment names another.
class StartedProgram {
 public:
  /// What it prints goes to files.
  explicit StartedProgram(const std::vector<std::string>& words, const std::filesystem::path& error_file,
                          const std::filesystem::path& output_file = "/dev/null");
  ~StartedProgram();
  StartedProgram(const StartedProgram&) = delete;
  StartedProgram& operator=(const StartedProgram&) = delete;

  pid_t process() const { return process_; }
  void signal(int number) const;
  /// From now on no file of the program's may grow beyond this size.
  void limit_files(uint64_t bytes) const;
  /// The exit status, or 128 plus the number of the signal that ended it.
  int wait();

 private:
  pid_t process_ = -1;
};

/// The processes that a process has started.
std::vector<pid_t> children_of(pid_t process);

/// The port in the address that a started program prints to `file`; waits for it. 0: it never came.
int printed_port(const std::filesystem::path& file);

/// A model that renders prompts, 48x32 pixels: formula weights, the tokenizer of the demo model.
void write_prompted_model(const std::filesystem::path& folder);

std::string read_text(const std::filesystem::path& file);
nlohmann::json read_json(const std::filesystem::path& file);

}  // namespace flashblock::testing
