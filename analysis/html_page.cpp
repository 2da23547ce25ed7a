#include "analysis/html_page.h"

#include <cmath>
#include <cstdint>
#include <cstdio>

#include "analysis/page_style.h"

namespace flashblock {
namespace {

std::string base64(std::string_view bytes) {
  constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) text += i + j <= bytes.size() ? kLetters[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string data_uri(std::string_view media_type, std::string_view bytes) {
  return "data:" + std::string(media_type) + ";base64," + base64(bytes);
}

std::string html_page(std::string_view title, std::string_view body, std::string_view head) {
  std::string page =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>";
  page += html_escape(title);
  page += "</title>\n<style>";
  page += kPageStyle;
  page += "</style>\n";
  page += head;
  page += "</head>\n<body>\n<main>\n";
  page += body;
  page += "</main>\n<script>";
  page += kChartScript;
  page += "</script>\n</body>\n</html>\n";
  return page;
}

std::string number_text(double value, int decimals, std::string_view infinite) {
  if (std::isnan(value)) return "–";
  if (std::isinf(value)) return std::string(value < 0 ? "−" : "") + std::string(infinite);
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, std::abs(value));
  // No minus before what was rounded to zero.
  const bool zero = std::string_view(text).find_first_not_of("0.") == std::string_view::npos;
  return (value < 0 && !zero ? "−" : "") + std::string(text);
}

}  // namespace flashblock
