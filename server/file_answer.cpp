#include "server/file_answer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "core/file_descriptor.h"
#include "core/parse_number.h"
#include "core/sha256.h"
#include "server/api_error.h"
#include "server/conditional.h"

namespace flashblock {
namespace {

constexpr size_t kSliceBytes = 128 * 1024;

struct ByteRange {
  int64_t first = 0, bytes = 0;
};

/// A position in a file, for any number of digits: one that does not fit is beyond every file's end.
std::optional<int64_t> position(std::string_view digits) {
  if (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos) return {};
  return parse_number<int64_t>(digits).value_or(std::numeric_limits<int64_t>::max());
}

/// The part of `size` bytes that a Range header selects, without bytes if that is beyond the end; none for a header
/// with another unit or syntax or with several ranges, which is ignored. Source: RFC 9110, section 14.
std::optional<ByteRange> parse_range(std::string_view header, int64_t size) {
  const size_t equals = header.find('=');
  if (equals == header.npos || !equal_ignoring_case(header.substr(0, equals), "bytes")) return {};
  const std::string_view range = trim(header.substr(equals + 1));
  const size_t dash = range.find('-');
  if (dash == range.npos) return {};
  const std::string_view before = range.substr(0, dash), after = range.substr(dash + 1);
  const auto first = position(before), last = position(after);
  if ((!first && !before.empty()) || (!last && !after.empty()) || (!first && !last)) return {};
  if (!first) return ByteRange{std::max<int64_t>(0, size - *last), std::min(size, *last)};
  if (last && *last < *first) return {};
  if (*first >= size) return ByteRange{0, 0};
  return ByteRange{*first, std::min(last.value_or(size), size - 1) - *first + 1};
}

/// A file that is sent.
struct SentFile {
  std::filesystem::path path;
  int64_t bytes = 0;
  FileDescriptor
      open;  ///< of a single file, which stays readable whatever happens to its name; others are opened later
};

/// Files that are sent as one.
struct SentFiles {
  std::vector<SentFile> files;
  int64_t bytes = 0;
  Validators validators;
};

SentFiles find_files(const std::vector<std::filesystem::path>& paths) {
  SentFiles sent;
  Sha256 identity;
  for (const std::filesystem::path& path : paths) {
    FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0 || status.st_size == 0) {
      throw ApiError({404, "no_file", "the video has no such file"});
    }
    identity.update(std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
                    std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + "\n");
    sent.bytes += status.st_size;
    sent.validators.modified = std::max(sent.validators.modified, status.st_mtim.tv_sec);
    sent.files.push_back({path, status.st_size, paths.size() == 1 ? std::move(file) : FileDescriptor()});
  }
  if (sent.files.empty()) throw ApiError({404, "no_file", "the video has no such file"});
  sent.validators.etag = "\"" + identity.finish().substr(0, 32) + "\"";
  return sent;
}

bool write_part(const SentFiles& sent, ByteRange range, BodySink& sink) {
  std::string slice(kSliceBytes, '\0');
  for (const SentFile& file : sent.files) {
    FileDescriptor opened;
    if (range.first < file.bytes && !file.open)
      opened = FileDescriptor(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
    const int descriptor = file.open ? file.open.get() : opened.get();
    while (range.first < file.bytes && range.bytes > 0) {
      const auto wanted =
          static_cast<size_t>(std::min({static_cast<int64_t>(slice.size()), range.bytes, file.bytes - range.first}));
      const ssize_t count = ::pread(descriptor, slice.data(), wanted, static_cast<off_t>(range.first));
      if (count <= 0 || !sink.write({slice.data(), static_cast<size_t>(count)})) return false;
      range.first += count;
      range.bytes -= count;
    }
    range.first -= file.bytes;
  }
  return range.bytes == 0;
}

/// Whether the request's preconditions have answered it.
bool answered_by_condition(const Validators& validators, const HttpRequest& request, HttpResponse& response) {
  const auto status = precondition_status(request, validators);
  if (!status) return false;
  if (*status == 412) {
    response = error_response({412, "precondition_failed", "what is here is not what the request expects"});
  }
  response.status = *status;
  return true;
}

}  // namespace

void send_files(const std::vector<std::filesystem::path>& files, const std::string& type, const HttpRequest& request,
                HttpResponse& response) {
  const auto sent = std::make_shared<const SentFiles>(find_files(files));
  ByteRange range{0, sent->bytes};
  response.set_header("Accept-Ranges", "bytes");
  response.set_header("Cache-Control", "private, no-cache");
  set_validators(response, sent->validators);
  if (answered_by_condition(sent->validators, request, response)) return;
  const bool partial = request.method == "GET" && range_is_current(request, sent->validators);
  if (const auto wanted = partial ? parse_range(request.header("Range"), sent->bytes) : std::nullopt) {
    if (wanted->bytes <= 0) {
      response = error_response({416, "range", "the file has " + std::to_string(sent->bytes) + " bytes"});
      response.set_header("Content-Range", "bytes */" + std::to_string(sent->bytes));
      return;
    }
    range = *wanted;
    response.status = 206;
    response.set_header("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                             std::to_string(range.first + range.bytes - 1) + "/" +
                                             std::to_string(sent->bytes));
  }
  response.set_stream(
      type, [sent, range](BodySink& sink) { return write_part(*sent, range, sink); }, range.bytes);
}

void send_fixed_text(std::string_view text, const std::string& type, const HttpRequest& request,
                     HttpResponse& response) {
  const Validators validators{.etag = "\"" + sha256(text).substr(0, 32) + "\""};
  set_validators(response, validators);
  response.set_header("Cache-Control", "private, no-cache");
  if (!answered_by_condition(validators, request, response)) response.set_content(std::string(text), type);
}

std::string attachment_header(const std::string& name) {
  std::string ascii, encoded;
  bool plain = true;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = std::isalnum(byte) && byte < 0x80;
    plain &= byte < 0x80;
    if (byte < 0x80) ascii += letter || c == '.' || c == '-' ? c : '_';
    if (letter || c == '.' || c == '-' || c == '_') {
      encoded += c;
    } else {
      encoded += {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
    }
  }
  std::string header = "attachment; filename=\"" + ascii + "\"";
  if (!plain) header += "; filename*=UTF-8''" + encoded;
  return header;
}

}  // namespace flashblock
