// Text that comes from outside, in arguments, files and requests: UTF-8 without control characters, or refused.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace flashblock {

/// What is wrong with bytes that should be text, as in "is UTF-16, wanted UTF-8"; empty: nothing. Text is UTF-8 without
/// control characters but tabs and line ends. Other encodings are named where the first bytes tell them.
std::string text_fault(std::string_view bytes);

/// The same of a file's content, with the way out.
std::string file_text_fault(std::string_view bytes);

/// Why a file's content is no JSON object: its encoding, if that is the reason, or ": not a JSON object".
std::string json_fault(std::string_view bytes);

/// The text of a file, without a byte order mark; its lines end in LF, whether they did so in the file, in CR LF as on
/// Windows or in CR as on old Macs. `wanted`: what the file should be, "a prompt list" say.
/// Throws: ConfigError that names the file, for one that cannot be read or is no text.
std::string read_text_file(const std::filesystem::path& file, const std::string& wanted);

/// `bytes` on one line for messages: control characters become spaces, bytes that are not UTF-8 U+FFFD.
std::string on_one_line(std::string_view bytes);

/// `text` cut to at most `most` bytes, between characters.
std::string_view text_beginning(std::string_view text, size_t most);

}  // namespace flashblock
