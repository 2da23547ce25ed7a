// The JSON body of a request.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace flashblock {

/// Parses a request's body. Numbers that are too large for a double are read as the largest one, so that whoever checks
/// their range names the key. Throws: ApiError 400 for a text that is not JSON (RFC 8259), is not UTF-8, is nested more
/// than 64 levels deep, or has a key twice, which is then the error's param.
nlohmann::json parse_request_json(const std::string& text);

}  // namespace flashblock
