// Files of this folder that are part of the program.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

std::string_view main_page();     ///< page.html
std::string_view login_page();    ///< login.html, which asks for the token
std::string_view openapi_text();  ///< openapi.json

/// The Content-Security-Policy of one of our pages: nothing from elsewhere, and of scripts and styles only those that
/// are in the page, by their hashes.
std::string page_policy(std::string_view page);

}  // namespace flashblock
