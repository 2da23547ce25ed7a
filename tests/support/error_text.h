// The message of an expected error.
#pragma once

#include <gtest/gtest.h>

#include <string>

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

}  // namespace flashblock::testing
