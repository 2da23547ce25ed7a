// The program, with workers that fail where a test wants it.
//
// FLASHBLOCK_TEST_FAULT holds a list of KIND:NAME or KIND:NAME:N, separated by commas: the video NAME crashes its
// worker, hangs it or runs out of memory (KIND crash, hang, memory) after its first frame block; with N only in its
// first N attempts.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <sstream>
#include <string>

#include "app/program.h"
#include "batch/worker_main.h"

namespace {

std::string fault_of(const flashblock::WorkerJob& job) {
  const char* variable = std::getenv("FLASHBLOCK_TEST_FAULT");
  std::istringstream list(variable ? variable : "");
  for (std::string entry; std::getline(list, entry, ',');) {
    std::istringstream words(entry);
    std::string kind, name, attempts;
    std::getline(words, kind, ':');
    std::getline(words, name, ':');
    std::getline(words, attempts);
    if (name == job.name && (attempts.empty() || job.attempt <= std::stoll(attempts))) return kind;
  }
  return {};
}

void fail_as_wanted(const flashblock::WorkerJob& job, const flashblock::RenderProgress&) {
  const std::string fault = fault_of(job);
  if (fault == "crash") {
    signal(SIGSEGV, SIG_DFL);  // sanitizers have a handler, which exits
    raise(SIGSEGV);
  }
  if (fault == "memory") throw std::bad_alloc();
  while (fault == "hang") pause();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "batch-worker") return flashblock::run_batch_worker(fail_as_wanted);
  return flashblock::run_program(argc, argv);
}
