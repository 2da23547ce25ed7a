// Files of this folder that are compiled into the program.
#pragma once

#include <string_view>

namespace flashblock {

std::string_view main_page();     ///< page.html
std::string_view login_page();    ///< login.html, a form for the token
std::string_view openapi_text();  ///< openapi.json

}  // namespace flashblock
