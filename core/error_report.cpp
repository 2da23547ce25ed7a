#include "core/error_report.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <filesystem>
#include <new>

namespace flashblock {
namespace {

/// Any text as one line.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  const auto last = text.find_last_not_of(' ');
  text.erase(last == std::string::npos ? 0 : last + 1);
  return text;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

ErrorReport out_of_memory(const std::string& detail) {
  return {ExitStatus::kDevice,
          "out of memory: " + detail +
              "; try --offload, a smaller --size, a shorter window (--set recipe.window_frames=N), "
              "--dtype bfloat16, or --device cpu"};
}

ErrorReport report_libtorch(const c10::Error& error) {
  const std::string text = first_line(error.what_without_backtrace());
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) || says("out of memory") || says("can't allocate memory")) {
    return out_of_memory(text);
  }
  if (says("CUDA") || says("cuda") || says("cuDNN") || says("CUBLAS") || says("NCCL")) {
    return {ExitStatus::kDevice, "the GPU failed: " + text + "; try again, or --device cpu"};
  }
  return {ExitStatus::kInternal, "internal fault: " + text + "; please report it with the command that led to it"};
}

}  // namespace

ErrorReport report_error(const std::exception_ptr& fault) {
  try {
    std::rethrow_exception(fault);
  } catch (const Error& error) {
    return {error.status(), one_line(error.what())};
  } catch (const c10::Error& error) {
    return report_libtorch(error);
  } catch (const std::bad_alloc&) {
    return out_of_memory("the system has no more");
  } catch (const std::filesystem::filesystem_error& error) {
    return {ExitStatus::kMedia, one_line(error.what())};
  } catch (const std::exception& error) {
    return {ExitStatus::kInternal,
            "internal fault: " + one_line(error.what()) + "; please report it with the command that led to it"};
  } catch (...) {
    return {ExitStatus::kInternal, "internal fault of an unknown kind; please report it"};
  }
}

}  // namespace flashblock
