#include "core/html_page.h"

#include <openssl/evp.h>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/check.h"

namespace flashblock {

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // libcrypto ends it with a null
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

std::string data_uri(std::string_view media_type, std::string_view bytes) {
  return "data:" + std::string(media_type) + ";base64," + base64(bytes);
}

std::string json_text(const nlohmann::ordered_json& data, int indent) {
  return data.dump(indent, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string json_line(const nlohmann::ordered_json& data) {
  std::string text = json_text(data, -1);
  text.pop_back();
  return text;
}

std::string html_page(std::string_view page, const nlohmann::ordered_json& data) {
  constexpr std::string_view kPlace = "<script type=\"application/json\" id=\"data\">";
  const size_t place = page.find(kPlace);
  FB_CHECK(place != std::string_view::npos, "the page has no place for its data");
  const size_t begin = place + kPlace.size();
  std::string filled(page.substr(0, begin));
  // In JSON a < stands in strings only, where \u003c means the same and can neither end the element nor open a comment.
  const std::string json = data.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::ordered_json::error_handler_t::replace);
  for (const char c : json) filled += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return filled.append(page.substr(begin));
}

void write_page(const std::filesystem::path& file, std::string_view page, const nlohmann::ordered_json& data) {
  write_file_atomically(file, html_page(page, data));
}

}  // namespace flashblock
