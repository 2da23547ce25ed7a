// What a page of the server may load.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

/// The Content-Security-Policy of a page in server_pages.h: nothing from other origins, and only the scripts and styles in
/// the page itself, by their hashes.
std::string page_policy(std::string_view page);

}  // namespace flashblock
