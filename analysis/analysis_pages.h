// Pages of this folder that are part of the program. Each draws a report from its JSON: see core/html_page.h.
#pragma once

#include <string_view>

namespace flashblock {

std::string_view redundancy_page();  ///< redundancy.html
std::string_view fidelity_page();    ///< fidelity.html
std::string_view bench_page();       ///< bench.html

}  // namespace flashblock
