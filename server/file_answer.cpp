#include "server/file_answer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/file_descriptor.h"
#include "core/parse_number.h"
#include "server/api_error.h"

namespace flashblock {
namespace {

constexpr size_t kSliceBytes = 128 * 1024;

struct ByteRange {
  int64_t first = 0, bytes = 0;
};

/// The part of a file of `size` bytes that a Range header selects; none for a header with another syntax, which is
/// ignored. Source: RFC 9110, section 14.1.2.
std::optional<ByteRange> parse_range(std::string_view header, int64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit)) return {};
  header.remove_prefix(kUnit.size());
  const size_t dash = header.find('-');
  if (dash == header.npos) return {};
  const auto first = parse_number<int64_t>(header.substr(0, dash));
  const auto last = parse_number<int64_t>(header.substr(dash + 1));
  if ((!first && !last) || first.value_or(0) < 0 || last.value_or(0) < 0) return {};
  if (!first) return ByteRange{std::max<int64_t>(0, size - *last), std::min(size, *last)};
  if (last && *last < *first) return {};
  return ByteRange{*first, std::min(last.value_or(size), size - 1) - *first + 1};
}

}  // namespace

void send_file(const std::filesystem::path& file, const std::string& type, const HttpRequest& request,
               HttpResponse& response) {
  const auto descriptor = std::make_shared<const FileDescriptor>(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!*descriptor || ::fstat(descriptor->get(), &status) != 0 || status.st_size == 0) {
    throw ApiError({404, "no_file", "the video has no such file"});
  }
  const auto size = static_cast<int64_t>(status.st_size);
  ByteRange range{0, size};
  response.set_header("Accept-Ranges", "bytes");
  response.set_header("Cache-Control", "private, no-cache");
  if (const auto wanted = parse_range(request.header("Range"), size)) {
    if (wanted->bytes <= 0) {
      response = error_response({416, "range", "the file has " + std::to_string(size) + " bytes"});
      response.set_header("Content-Range", "bytes */" + std::to_string(size));
      return;
    }
    range = *wanted;
    response.status = 206;
    response.set_header("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                             std::to_string(range.first + range.bytes - 1) + "/" +
                                             std::to_string(size));
  }
  const auto write = [descriptor, range](BodySink& sink) {
    std::string slice(kSliceBytes, '\0');
    for (int64_t done = 0; done < range.bytes;) {
      const auto wanted = std::min<size_t>(slice.size(), static_cast<size_t>(range.bytes - done));
      const ssize_t count = ::pread(descriptor->get(), slice.data(), wanted, static_cast<off_t>(range.first + done));
      if (count <= 0 || !sink.write({slice.data(), static_cast<size_t>(count)})) return false;
      done += count;
    }
    return true;
  };
  response.set_stream(type, write, range.bytes);
}

}  // namespace flashblock
