// Reports as HTML: pages of the program that draw themselves, without a network, from JSON that is embedded in them.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace flashblock {

/// RFC 4648, section 4.
std::string base64(std::string_view bytes);

/// `bytes` as a data URI of the type `media_type`, such as image/jpeg.
std::string data_uri(std::string_view media_type, std::string_view bytes);

/// `data` as the text of a JSON file, `indent` spaces a level, -1 for one line. All JSON of the program is written by
/// this and the next function, since it cannot fail: bytes that are not UTF-8 are replaced.
std::string json_text(const nlohmann::ordered_json& data, int indent);
/// The same on one line without a line end, for messages.
std::string json_line(const nlohmann::ordered_json& data);

/// `page` with `data` in its element `<script type="application/json" id="data">`. Nothing in `data` can end the
/// element; bytes that are not UTF-8 are replaced. Requires: a page with that element.
std::string html_page(std::string_view page, const nlohmann::ordered_json& data);

/// The same, written to `file` atomically. Throws: MediaError.
void write_page(const std::filesystem::path& file, std::string_view page, const nlohmann::ordered_json& data);

}  // namespace flashblock
