// Which names in a pickle run code of their author when Python loads it.
#pragma once

#include <string_view>

namespace flashblock {

/// Whether a pickle that names this function or class is made to run code: commands, files, code in text, modules.
/// This program calls nothing that a pickle names; such a file is refused since Python would.
/// Source: the deny lists of picklescan and fickling.
bool runs_code(std::string_view module, std::string_view name);

/// Whether looking up this attribute of anything leads to such a function.
bool leads_to_code(std::string_view attribute);

}  // namespace flashblock
