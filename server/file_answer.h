// A file as the response to a request.
#pragma once

#include <filesystem>
#include <string>

#include "server/http_message.h"

namespace flashblock {

/// Responds with a file, or with the part of it that the request's Range header selects; 416 if that is beyond its end.
/// The file is read while it is sent. Throws: ApiError 404 if there is no such file.
void send_file(const std::filesystem::path& file, const std::string& type, const HttpRequest& request,
               HttpResponse& response);

}  // namespace flashblock
