#include "server/form_data.h"

#include <optional>

#include "server/api_error.h"

namespace flashblock {
namespace {

[[noreturn]] void reject(const std::string& reason) { throw ApiError({400, "invalid_form", "the form " + reason}); }

/// Takes the text up to `end` and `end` itself off the front of `text`; none if `end` is not in it.
std::optional<std::string_view> take_until(std::string_view& text, std::string_view end) {
  const size_t at = text.find(end);
  if (at == text.npos) return {};
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at + end.size());
  return taken;
}

/// The value of parameter `name` of a header such as `form-data; name="prompt"`; a quoted value ends at the next quote,
/// as browsers write it (WHATWG HTML, multipart/form-data).
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  if (!take_until(header, ";")) return {};
  while (!header.empty()) {
    const size_t equals = header.find('=');
    if (equals == header.npos) return {};
    const std::string_view key = trim(header.substr(0, equals));
    header.remove_prefix(equals + 1);
    std::string_view value;
    if (header.starts_with('"')) {
      header.remove_prefix(1);
      const auto quoted = take_until(header, "\"");
      if (!quoted) return {};
      value = *quoted;
    } else {
      value = trim(header.substr(0, header.find(';')));
    }
    header.remove_prefix(std::min(header.find(';'), header.size()));
    if (equal_ignoring_case(key, name)) return std::string(value);
    if (!header.empty()) header.remove_prefix(1);
  }
  return {};
}

/// Reads the headers of one part, each ending in CRLF.
FormPart parse_part_headers(std::string_view headers) {
  FormPart part;
  bool named = false;
  while (const auto line = take_until(headers, "\r\n")) {
    const size_t colon = line->find(':');
    if (colon == line->npos || !equal_ignoring_case(line->substr(0, colon), "Content-Disposition")) continue;
    const auto name = parameter(line->substr(colon + 1), "name");
    named = name.has_value();
    part.name = name.value_or("");
    part.is_file = !parameter(line->substr(colon + 1), "filename").value_or("").empty();
  }
  if (!named) reject("has a part without a name");
  return part;
}

}  // namespace

bool is_form(std::string_view content_type) { return has_media_type(content_type, "multipart/form-data"); }

std::vector<FormPart> parse_form(std::string_view content_type, std::string_view body) {
  const auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty()) reject("has no boundary in its Content-Type");
  const std::string opening = "--" + *boundary, delimiter = "\r\n" + opening;
  if (body.starts_with(opening)) {
    body.remove_prefix(opening.size());
  } else if (!take_until(body, delimiter)) {
    reject("does not begin with its boundary");
  }
  std::vector<FormPart> parts;
  while (!body.starts_with("--")) {
    const auto padding = take_until(body, "\r\n");
    if (!padding || !trim(*padding).empty()) reject("has text after a boundary");
    const size_t headers = body.find("\r\n\r\n");
    if (headers == body.npos) reject("has a part without an end");
    FormPart part = parse_part_headers(body.substr(0, headers + 2));
    body.remove_prefix(headers + 4);
    const auto content = take_until(body, delimiter);
    if (!content) reject("has a part without an end");
    part.content = *content;
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace flashblock
