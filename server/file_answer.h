// A file as the answer to a request.
#pragma once

#include <filesystem>
#include <string>

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace flashblock {

/// Sends a file, or the part of it that the request's Range names, slice by slice. Throws: ApiError 404 if there is no
/// such file, 416 for a range outside it.
void send_file(const std::filesystem::path& file, const std::string& type, const httplib::Request& request,
               httplib::Response& response);

}  // namespace flashblock
