#include "core/error_report.h"

#include <c10/util/Exception.h>

#include <filesystem>
#include <new>

#include "core/plain_text.h"

namespace flashblock {
namespace {

/// Any text as one line that a terminal and JSON take.
std::string one_line(const std::string& any) {
  std::string text = on_one_line(any);
  const auto last = text.find_last_not_of(' ');
  text.erase(last == std::string::npos ? 0 : last + 1);
  return text;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

ErrorReport report(ExitStatus status, const std::string& message, const std::vector<Remedy>& remedies = {}) {
  return {status, message, remedies, error_line(message, remedies, yaml_setting)};
}

ErrorReport internal_fault(const std::string& message) {
  return report(ExitStatus::kInternal,
                "internal fault: " + message + "; please report it with the command that led to it");
}

ErrorReport out_of_memory(const std::string& detail) {
  return report(ExitStatus::kDevice, "out of memory: " + detail,
                {{"keep the layers in host memory", "offload", "true"},
                 {"render smaller frames", "size", ""},
                 {"shorten the window", "recipe.window_frames", ""},
                 {"compute in bfloat16", "dtype", "bfloat16"},
                 {"compute on the CPU", "device", "cpu"}});
}

ErrorReport report_libtorch(const c10::Error& error) {
  const std::string text = first_line(error.what_without_backtrace());
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) || says("out of memory") || says("can't allocate memory")) {
    return out_of_memory(text);
  }
  if (says("CUDA") || says("cuda") || says("cuDNN") || says("CUBLAS") || says("NCCL")) {
    return report(ExitStatus::kDevice, "the GPU failed: " + text + "; try again",
                  {{"compute on the CPU", "device", "cpu"}});
  }
  return internal_fault(text);
}

}  // namespace

ErrorReport report_error(const std::exception_ptr& fault) {
  try {
    std::rethrow_exception(fault);
  } catch (const Error& error) {
    return report(error.status(), one_line(error.what()), error.remedies());
  } catch (const c10::Error& error) {
    return report_libtorch(error);
  } catch (const std::bad_alloc&) {
    return out_of_memory("the system has no more");
  } catch (const std::filesystem::filesystem_error& error) {
    const std::string file = error.path1().empty() ? "" : " " + error.path1().string();
    return report(ExitStatus::kMedia, one_line("cannot use the file" + file + ": " + error.code().message()));
  } catch (const std::exception& error) {
    return internal_fault(one_line(error.what()));
  } catch (...) {
    return internal_fault("an exception of an unknown type");
  }
}

std::string error_line(const std::string& message, const std::vector<Remedy>& remedies, SettingName name) {
  std::vector<std::string> actions;
  for (const Remedy& remedy : remedies) {
    if (const std::string setting = name(remedy); !setting.empty())
      actions.push_back(remedy.action + " with " + setting);
  }
  std::string line = message;
  for (size_t i = 0; i < actions.size(); ++i) {
    line += i == 0 ? ": " : i + 1 < actions.size() ? ", " : ", or ";
    line += actions[i];
  }
  return line;
}

std::string yaml_setting(const Remedy& remedy) {
  return remedy.value.empty() ? remedy.key : remedy.key + ": " + remedy.value;
}

}  // namespace flashblock
