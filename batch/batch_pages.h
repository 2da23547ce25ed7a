// Files of this folder that are part of the program.
#pragma once

#include <string_view>

namespace flashblock {

std::string_view batch_page();  ///< report.html, which draws itself from report_page_json

}  // namespace flashblock
