#include "app/setting_options.h"

#include <algorithm>

namespace flashblock {

std::string option_of(const Remedy& remedy) {
  if (remedy.key.find('.') != std::string::npos) {
    return "--set " + remedy.key + "=" + (remedy.value.empty() ? "..." : remedy.value);
  }
  std::string option = "--" + remedy.key;
  std::replace(option.begin(), option.end(), '_', '-');
  const bool flag = remedy.value.empty() || remedy.value == "true";
  return flag ? option : option + " " + remedy.value;
}

}  // namespace flashblock
