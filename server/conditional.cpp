#include "server/conditional.h"

#include <time.h>

#include <algorithm>

namespace flashblock {
namespace {

/// Whether a list of entity tags, or *, has `etag`. `weak`: W/"x" counts as "x".
bool lists_etag(std::string_view list, std::string_view etag, bool weak) {
  if (trim(list) == "*") return true;
  while (!list.empty()) {
    list.remove_prefix(std::min(list.find_first_not_of(", \t"), list.size()));
    const bool is_weak = list.starts_with("W/");
    const size_t quote = is_weak ? 2 : 0;
    if (quote >= list.size() || list[quote] != '"') return false;
    const size_t end = list.find('"', quote + 1);
    if (end == list.npos) return false;
    if (list.substr(quote, end + 1 - quote) == etag && (weak || !is_weak)) return true;
    list.remove_prefix(end + 1);
  }
  return false;
}

bool reads(const HttpRequest& request) { return request.method == "GET" || request.method == "HEAD"; }

}  // namespace

void set_validators(HttpResponse& response, const Validators& validators) {
  if (!validators.etag.empty()) response.set_header("ETag", validators.etag);
  if (validators.modified > 0) response.set_header("Last-Modified", http_date(validators.modified));
}

std::optional<int> precondition_status(const HttpRequest& request, const Validators& validators) {
  const auto time_of = [&](const char* name) { return parse_http_date(request.header(name)); };
  if (request.has_header("If-Match")) {
    if (!lists_etag(request.header("If-Match"), validators.etag, /*weak=*/false)) return 412;
  } else if (const auto since = time_of("If-Unmodified-Since"); since && validators.modified > *since) {
    return 412;
  }
  if (request.has_header("If-None-Match")) {
    if (lists_etag(request.header("If-None-Match"), validators.etag, /*weak=*/true)) return reads(request) ? 304 : 412;
  } else if (const auto since = time_of("If-Modified-Since");
             since && reads(request) && validators.modified > 0 && validators.modified <= *since) {
    return 304;
  }
  return {};
}

bool range_is_current(const HttpRequest& request, const Validators& validators) {
  if (!request.has_header("If-Range")) return true;
  const std::string wanted = request.header("If-Range");
  if (const auto date = parse_http_date(wanted)) return validators.modified > 0 && *date == validators.modified;
  return trim(wanted) == validators.etag;
}

std::string http_date(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::optional<std::time_t> parse_http_date(std::string_view text) {
  const std::string date(trim(text));
  for (const char* form : {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    std::tm parts{};
    const char* end = ::strptime(date.c_str(), form, &parts);
    if (end && *end == '\0') return ::timegm(&parts);
  }
  return {};
}

}  // namespace flashblock
