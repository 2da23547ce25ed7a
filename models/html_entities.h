// HTML character references in prompts that were copied from web pages.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

/// Replaces character references as web browsers do: `&eacute;`, `&#233;`, `&#xE9;`; also `&copy` and `&#233`
/// without the semicolon, where browsers allow it. Unknown names are left unchanged. One pass: `&amp;lt;` becomes
/// `&lt;`. Names: those of HTML 4, and `&apos;`. Source: WHATWG HTML, section 13.2.5.72 on; as Python's html.unescape.
std::u32string unescape_html(std::u32string_view text);

/// As above, but only references that end with a semicolon; upper-case names such as `&NTILDE;` are replaced too.
/// Source: ftfy 6 `fixes.unescape_html`.
std::u32string unescape_closed_html(std::u32string_view text);

}  // namespace flashblock
