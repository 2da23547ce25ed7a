#include "app/program.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <utility>

#include "analysis/synthetic_model.h"
#include "app/calibrate_command.h"
#include "app/command_line.h"
#include "app/config_options.h"
#include "app/doctor_command.h"
#include "app/fidelity_command.h"
#include "app/info_command.h"
#include "app/redundancy_command.h"
#include "app/render_command.h"
#include "app/serve_command.h"
#include "app/text_analysis_command.h"
#include "app/text_command.h"
#include "batch/worker_main.h"
#include "core/error.h"
#include "core/error_report.h"
#include "render/device_group.h"

namespace flashblock {
namespace {

/// Standard streams that the caller closed become ones that refuse: files opened later would take their numbers, and
/// get what is printed.
void keep_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0) continue;
    [[maybe_unused]] const int opened = ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

/// Throws: MediaError if what was printed could not be written.
void finish_standard_output() {
  errno = 0;
  std::cout.flush();
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout;
  if (!failed) return;
  if (errno == 0) [[maybe_unused]]
    const ssize_t again = ::write(STDOUT_FILENO, "\n", 1);  // for the reason
  throw MediaError(std::string("cannot write to standard output: ") + std::strerror(errno));
}

int run(const Request& request) {
  if (request.text) std::cout << *request.text;
  if (request.render) return run_render(*request.render);
  if (request.redundancy) return run_redundancy(*request.redundancy);
  if (request.serve) return run_serve(*request.serve);
  if (request.batch) return run_batch(*request.batch);
  if (request.batch_worker) return run_batch_worker();
  if (!request.device_process.empty()) {
    return run_device_process(request.device_process, [](const std::string& name) {
      const ModelGeometry geometry = parse_geometry(name);
      return RandomModel{.description = random_description(geometry),
                         .weights = [geometry](at::Device device, at::ScalarType dtype) {
                           return random_weights(geometry, device, dtype);
                         }};
    });
  }
  if (request.fidelity) return run_fidelity(*request.fidelity);
  if (request.bench) return run_bench(*request.bench);
  if (request.calibrate) return run_calibrate(*request.calibrate);
  if (request.info) return run_info(*request.info);
  if (request.doctor) return run_doctor(*request.doctor);
  if (request.decode_text) return run_text(*request.decode_text);
  if (request.text_analysis) return run_text_analysis(*request.text_analysis);
  return 0;
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  keep_standard_streams();
  Request request;
  try {
    request = parse_command_line(argc, argv);
    const int status = run(request);
    finish_standard_output();
    return status;
  } catch (...) {
    ErrorReport report = report_error(std::current_exception());
    if (!request.options.empty()) report.remedies = possible_remedies(std::move(report.remedies), request.options);
    std::cerr << "flashblock: error: " << error_line(report.message, report.remedies, option_of) << std::endl;
    return static_cast<int>(report.status);
  }
}

}  // namespace flashblock
