#include "server/request_head.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace flashblock {
namespace {

constexpr size_t kLongestRange = 64;  // bytes of a Range header: two 64-bit numbers and what is around them

Refusal bad(std::string message) { return {400, "bad_request", std::move(message)}; }

bool is_token_character(char c) {
  static constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || kOthers.find(c) != kOthers.npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

bool is_visible(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

/// Text of a header: no control characters but tab.
bool is_field_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
  });
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Walks over the lines of a head.
class HeadChecker {
 public:
  HeadChecker(std::string_view head, const RequestLimits& limits) : rest_(head), limits_(limits) {}

  std::variant<RequestHead, Refusal> check() {
    if (auto refusal = check_request_line(take_line())) return *refusal;
    size_t headers = 0;
    for (std::string_view line = take_line(); !line.empty(); line = take_line()) {
      if (++headers > limits_.headers) {
        return Refusal{431, "too_many_headers",
                       "the request has more than " + std::to_string(limits_.headers) + " headers"};
      }
      if (auto refusal = check_header(line)) return *refusal;
    }
    if (hosts_ != 1) return bad("wanted one Host header, found " + std::to_string(hosts_));
    return check_body();
  }

 private:
  std::string_view take_line() {
    const size_t end = rest_.find("\r\n");
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + 2);
    return line;
  }

  std::optional<Refusal> check_request_line(std::string_view line) {
    const size_t first = line.find(' '), last = line.rfind(' ');
    if (first == line.npos || first == last) return bad("wanted a request line such as GET / HTTP/1.1");
    const std::string_view method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, last - first - 1), version = line.substr(last + 1);
    if (!is_token(method)) return bad("the request's method is not a word");
    const bool known = method == "GET" || method == "HEAD" || method == "POST" || method == "DELETE";
    if (!known) head_.foreign_bytes = method.size();
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
      return Refusal{505, "http_version", "only HTTP/1.1 and HTTP/1.0 are spoken here"};
    }
    if (target.size() > limits_.target_bytes) {
      return Refusal{414, "target_too_long",
                     "the request's path is longer than " + std::to_string(limits_.target_bytes) + " bytes"};
    }
    if (!is_visible(target) || target.front() != '/') return bad("the request's path does not begin with /");
    return {};
  }

  std::optional<Refusal> check_header(std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon))) return bad("a header line has no name");
    const std::string_view name = line.substr(0, colon), value = trim(line.substr(colon + 1));
    if (!is_field_text(value)) return bad("a header holds control characters");
    if (same_ignoring_case(name, "Host")) ++hosts_;
    if (same_ignoring_case(name, "Transfer-Encoding")) {
      return Refusal{411, "length_required", "send the body with a Content-Length, not in chunks"};
    }
    if (same_ignoring_case(name, "Content-Encoding") && !same_ignoring_case(value, "identity")) {
      return Refusal{415, "content_encoding", "send the body as it is, without Content-Encoding"};
    }
    if (same_ignoring_case(name, "Content-Length")) return take_length(value);
    if (same_ignoring_case(name, "Expect")) return take_expectation(value);
    if (same_ignoring_case(name, "Range") && (value.size() > kLongestRange || value.find(',') != value.npos)) {
      return Refusal{416, "range", "one byte range at a time is served"};
    }
    return {};
  }

  std::optional<Refusal> take_length(std::string_view value) {
    size_t bytes = 0;
    const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), bytes);
    if (fault != std::errc() || end != value.data() + value.size() || length_) {
      return bad("wanted one Content-Length, a number of bytes");
    }
    length_ = bytes;
    return {};
  }

  std::optional<Refusal> take_expectation(std::string_view value) {
    if (!same_ignoring_case(value, "100-continue")) {
      return Refusal{417, "expectation", "the only expectation that is known here is 100-continue"};
    }
    head_.wants_continue = true;
    return {};
  }

  std::variant<RequestHead, Refusal> check_body() {
    head_.body_bytes = length_.value_or(0);
    if (head_.body_bytes > limits_.body_bytes) {
      return Refusal{413, "body_too_large",
                     "the request's body is larger than " + std::to_string(limits_.body_bytes) + " bytes"};
    }
    return head_;
  }

  std::string_view rest_;
  const RequestLimits& limits_;
  RequestHead head_;
  int hosts_ = 0;
  std::optional<size_t> length_;
};

}  // namespace

size_t end_of_head(std::string_view bytes) {
  const size_t empty_line = bytes.find("\r\n\r\n");
  return empty_line == bytes.npos ? empty_line : empty_line + 4;
}

std::variant<RequestHead, Refusal> check_request_head(std::string_view head, const RequestLimits& limits) {
  return HeadChecker(head, limits).check();
}

}  // namespace flashblock
