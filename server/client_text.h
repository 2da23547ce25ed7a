// Error messages that may be shown to clients.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

/// `message`, or `otherwise` if the message contains a file path or a command-line option: paths of the server are not
/// for its clients, and they do not control its command line. A word with a slash counts as a path.
std::string client_text(const std::string& message, std::string_view otherwise);

}  // namespace flashblock
