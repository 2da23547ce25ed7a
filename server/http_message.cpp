#include "server/http_message.h"

#include <algorithm>
#include <charconv>

namespace flashblock {
namespace {

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

template <class Fields>
auto find_header(Fields& headers, std::string_view name) {
  return std::find_if(headers.begin(), headers.end(),
                      [&](const auto& header) { return equal_ignoring_case(header.first, name); });
}

std::optional<std::string> find_value(const HttpFields& fields, std::string_view name) {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; });
  if (found == fields.end()) return {};
  return found->second;
}

enum class PlusSign { kIsPlus, kIsSpace };

/// `text` with %XX replaced by the byte; a % that is not followed by two hexadecimal digits stays. Source: RFC 3986,
/// section 2.1; `+` for a space: WHATWG URL, application/x-www-form-urlencoded.
std::string percent_decoded(std::string_view text, PlusSign plus) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned byte = 0;
    if (text[i] == '%' && digits.size() == 2 &&
        std::from_chars(digits.begin(), digits.end(), byte, 16).ptr == digits.end()) {
      result += static_cast<char>(byte);
      i += 2;
    } else {
      result += text[i] == '+' && plus == PlusSign::kIsSpace ? ' ' : text[i];
    }
  }
  return result;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), to_lower);
  return result;
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool has_media_type(std::string_view content_type, std::string_view type) {
  return equal_ignoring_case(trim(content_type.substr(0, content_type.find(';'))), type);
}

std::optional<std::string> take_authority(std::string& target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equal_ignoring_case(std::string_view(target).substr(0, scheme.size()), scheme)) continue;
    const size_t end = std::min(target.find_first_of("/?", scheme.size()), target.size());
    std::string authority = target.substr(scheme.size(), end - scheme.size());
    target.erase(0, end);
    if (!target.starts_with('/')) target.insert(0, "/");
    return authority;
  }
  return {};
}

std::string HttpRequest::header(std::string_view name) const {
  const auto found = find_header(headers, name);
  return found == headers.end() ? "" : found->second;
}

bool HttpRequest::has_header(std::string_view name) const { return find_header(headers, name) != headers.end(); }

std::optional<std::string> HttpRequest::query_parameter(std::string_view name) const { return find_value(query, name); }

std::string HttpRequest::path_parameter(std::string_view name) const {
  return find_value(path_parameters, name).value_or("");
}

void set_target(HttpRequest& request, std::string target) {
  request.target = std::move(target);
  const std::string_view all = request.target;
  const size_t mark = all.find('?');
  request.path = percent_decoded(all.substr(0, mark), PlusSign::kIsPlus);
  std::string_view rest = mark == all.npos ? std::string_view() : all.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if (part.empty()) continue;
    const size_t equals = std::min(part.find('='), part.size());
    request.query.emplace_back(percent_decoded(part.substr(0, equals), PlusSign::kIsSpace),
                               percent_decoded(part.substr(std::min(equals + 1, part.size())), PlusSign::kIsSpace));
  }
}

void HttpResponse::set_header(std::string_view name, std::string value) {
  if (const auto found = find_header(headers, name); found != headers.end()) {
    found->second = std::move(value);
  } else {
    headers.emplace_back(name, std::move(value));
  }
}

bool HttpResponse::has_header(std::string_view name) const { return find_header(headers, name) != headers.end(); }

void HttpResponse::set_content(std::string content, std::string content_type) {
  body = std::move(content);
  writer = nullptr;
  set_header("Content-Type", std::move(content_type));
}

void HttpResponse::set_stream(std::string content_type, BodyWriter body_writer, std::optional<int64_t> bytes) {
  body.clear();
  writer = std::move(body_writer);
  length = bytes;
  set_header("Content-Type", std::move(content_type));
}

}  // namespace flashblock
