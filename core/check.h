// Checks of the program's own invariants. A failure is a bug in flashblock, never an error in its input.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace flashblock::internal {

template <typename... Parts>
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const Parts&... parts) {
  std::ostringstream message;
  message << file << ':' << line << ": internal error: " << condition << ' ';
  static_cast<void>((message << ... << parts));
  throw std::logic_error(message.str());
}

}  // namespace flashblock::internal

/// Throws std::logic_error with the condition and the given parts, unless the condition holds.
#define FB_CHECK(condition, ...)                                                                       \
  do {                                                                                                 \
    if (!(condition)) [[unlikely]]                                                                     \
      ::flashblock::internal::check_failed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
