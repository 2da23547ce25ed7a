#include "server/client_text.h"

namespace flashblock {

std::string client_text(const std::string& message, std::string_view otherwise) {
  const bool names_path = message.find_first_of("/\\") != message.npos;
  const bool names_option = message.find("--") != message.npos;
  return std::string(names_path || names_option ? otherwise : message);
}

}  // namespace flashblock
