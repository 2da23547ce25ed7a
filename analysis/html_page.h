// Web pages that stand alone: no network, light and dark, readable on a phone.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

/// Text as it may stand in an element or in a quoted attribute.
std::string html_escape(std::string_view text);

/// `bytes` as a data URI of the type `media_type`, image/jpeg say.
std::string data_uri(std::string_view media_type, std::string_view bytes);

/// A whole page. `title` is text, `body` is HTML. Style sheet and script are inside; the script only adds readings to
/// charts under the pointer. `head`: HTML for the head, a style sheet of the page's own say.
std::string html_page(std::string_view title, std::string_view body, std::string_view head = "");

/// A number in about four digits, without an exponent; a dash for what was not measured; `infinite` for infinity.
std::string number_text(double value, int decimals, std::string_view infinite = "∞");

}  // namespace flashblock
