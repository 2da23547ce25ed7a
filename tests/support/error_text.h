// The message of an expected error.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/error_report.h"

namespace flashblock::testing {

/// what() of the `Expected` error that `action` throws; a test failure and empty text if it throws none or another one.
template <typename Expected, typename Action>
std::string error_text(Action&& action) {
  try {
    action();
    ADD_FAILURE() << "no error was thrown";
  } catch (const Expected& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "an error of another type was thrown: " << error.what();
  }
  return "";
}

/// The line that reports what `action` throws, with its remedies.
template <typename Action>
std::string error_line_of(Action&& action) {
  try {
    action();
  } catch (...) {
    return report_error(std::current_exception()).line;
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

}  // namespace flashblock::testing
