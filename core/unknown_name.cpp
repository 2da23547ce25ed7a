#include "core/unknown_name.h"

#include <string>

namespace flashblock {

ConfigError unknown_name(std::string_view kind, std::string_view name, std::string_view possible) {
  return ConfigError("the " + std::string(kind) + " '" + std::string(name) + "' is unknown; possible are " +
                     std::string(possible));
}

}  // namespace flashblock
