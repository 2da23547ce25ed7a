// Files of this folder that are compiled into the program.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

std::string_view main_page();     ///< page.html
std::string_view login_page();    ///< login.html, a form for the token
std::string_view openapi_text();  ///< openapi.json

/// The Content-Security-Policy of one of these pages: nothing from other origins, and only the scripts and styles in
/// the page itself, by their hashes.
std::string page_policy(std::string_view page);

}  // namespace flashblock
