#include "core/plain_text.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "core/error.h"

namespace flashblock {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

unsigned char byte_at(std::string_view text, size_t at) { return static_cast<unsigned char>(text[at]); }

/// Bytes of the UTF-8 character that `text` begins with; 0 if it begins with none.
/// Source: Unicode Standard, table 3-7, well-formed UTF-8 byte sequences.
size_t character_length(std::string_view text) {
  const unsigned char lead = byte_at(text, 0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (lead < 0xC2 || length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte_at(text, i) & 0xC0) != 0x80) return 0;
  const unsigned char second = byte_at(text, 1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate = lead == 0xED && second >= 0xA0;
  const bool too_large = lead == 0xF4 && second >= 0x90;
  return overlong || surrogate || too_large ? 0 : length;
}

/// Whether `text` begins with a control character that is no tab and no line end, of which CR LF is one.
bool begins_with_control(std::string_view text) {
  const unsigned char c = byte_at(text, 0);
  if (c == '\r') return text.size() > 1 && text[1] != '\n';
  return (c < ' ' && c != '\t' && c != '\n') || c == 0x7F;
}

/// Name of the encoding that a byte order mark states, or that every other byte being null suggests; empty: neither.
std::string other_unicode(std::string_view bytes) {
  if (bytes.starts_with(std::string_view("\xff\xfe\0\0", 4)) || bytes.starts_with(std::string_view("\0\0\xfe\xff", 4)))
    return "UTF-32";
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) return "UTF-16";
  const std::string_view start = bytes.substr(0, 1024);
  for (const size_t odd : {size_t{1}, size_t{0}}) {
    size_t nulls = 0;
    for (size_t i = odd; i < start.size(); i += 2) nulls += start[i] == '\0' ? 1 : 0;
    if (start.size() >= 4 && nulls > start.size() / 4) return odd == 1 ? "UTF-16LE" : "UTF-16BE";
  }
  return "";
}

std::string hexadecimal(unsigned char byte) {
  char text[8];
  std::snprintf(text, sizeof text, "%02X", byte);
  return text;
}

}  // namespace

std::string text_fault(std::string_view bytes) {
  if (const std::string encoding = other_unicode(bytes); !encoding.empty()) return "is " + encoding + ", wanted UTF-8";
  const auto line_at = [&](size_t at) {
    const bool several = bytes.find('\n') < bytes.size() - 1;
    return several
               ? "line " + std::to_string(1 + std::count(bytes.begin(), bytes.begin() + static_cast<long>(at), '\n'))
               : std::string("it");
  };
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = character_length(bytes.substr(at));
    const std::string byte = hexadecimal(byte_at(bytes, at));
    if (length == 0)
      return "is not UTF-8: " + line_at(at) + " has the byte " + byte + ", as in Latin-1 and Windows-1252";
    if (begins_with_control(bytes.substr(at)))
      return "is no text: " + line_at(at) + " has the control character " + byte;
    at += length;
  }
  return "";
}

std::string file_text_fault(std::string_view bytes) {
  const std::string fault = text_fault(bytes);
  if (fault.empty() || fault.starts_with("is no text")) return fault;
  const std::string other = other_unicode(bytes);
  return fault + "; save it as UTF-8, or convert it with iconv -f " + (other.empty() ? "WINDOWS-1252" : other) +
         " -t UTF-8";
}

std::string json_fault(std::string_view bytes) {
  const std::string fault = file_text_fault(bytes);
  return fault.empty() ? ": not a JSON object" : " " + fault;
}

std::string read_text_file(const std::filesystem::path& file, const std::string& wanted) {
  std::ifstream stream(file, std::ios::binary);
  std::error_code unreadable;  // such as links in a circle
  if (!std::filesystem::is_regular_file(file, unreadable) || !stream)
    throw ConfigError(file.string() + ": cannot be read; wanted " + wanted);
  std::string text(std::istreambuf_iterator<char>(stream), {});
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  std::string lines;
  for (size_t at = 0; at < text.size(); ++at)
    if (text[at] != '\r' || text.substr(at + 1, 1) != "\n") lines += text[at];
  std::ranges::replace(text, '\r', '\n');  // of the same length, for the encodings that have two bytes a character
  if (const std::string fault = file_text_fault(text); !fault.empty()) throw ConfigError(file.string() + " " + fault);
  std::ranges::replace(lines, '\r', '\n');
  return lines;
}

std::string on_one_line(std::string_view bytes) {
  std::string line;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = character_length(bytes.substr(at));
    const auto c = byte_at(bytes, at);
    line += length == 0 ? "\xef\xbf\xbd" : c < ' ' || c == 0x7F ? " " : bytes.substr(at, length);
    at += std::max<size_t>(length, 1);
  }
  return line;
}

std::string_view text_beginning(std::string_view text, size_t most) {
  size_t end = std::min(most, text.size());
  while (end > 0 && end < text.size() && (byte_at(text, end) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace flashblock
