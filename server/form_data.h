// Bodies of type multipart/form-data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace flashblock {

/// One field of a form.
struct FormPart {
  std::string name;
  bool is_file = false;
  std::string content;
};

/// Whether a Content-Type is multipart/form-data.
bool is_form(std::string_view content_type);

/// The fields of a form in order. Throws: ApiError 400 for a body that is not one. Source: RFC 7578; RFC 2046, section
/// 5.1.1.
std::vector<FormPart> parse_form(std::string_view content_type, std::string_view body);

}  // namespace flashblock
