// Style sheet and script of every page. Private to app/html/.
#pragma once

namespace flashblock {

extern const char* const kPageStyle;
extern const char* const kChartScript;

}  // namespace flashblock
