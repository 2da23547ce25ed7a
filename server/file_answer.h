// Files as the response to a request.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "server/http_message.h"

namespace flashblock {

/// Responds with a file, or with several one after another as if they were one; with the part that the request's Range
/// header selects, 416 if that is beyond the end, 304 if the client has the file already. Other units than bytes and
/// lists of ranges are ignored. Files are read while they are sent. Throws: ApiError 404 if there is no such file.
void send_files(const std::vector<std::filesystem::path>& files, const std::string& type, const HttpRequest& request,
                HttpResponse& response);

/// Responds with a text that changes only with the program; 304 if the client has it already.
void send_fixed_text(std::string_view text, const std::string& type, const HttpRequest& request,
                     HttpResponse& response);

/// The header Content-Disposition that makes browsers save a file under `name`, which may be any UTF-8. Source: RFC
/// 6266; RFC 8187.
std::string attachment_header(const std::string& name);

}  // namespace flashblock
