#include "core/output_path.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "core/file_descriptor.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

fs::path parent_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

/// `folder`, or what exists nearest above one that is made later.
fs::path existing_part(fs::path folder) {
  std::error_code error;
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = parent_of(folder);
  return folder;
}

/// A link, a folder, a device: what may not be replaced by a file. Throws: ConfigError.
void check_no_other_kind(const fs::path& file, const ErrorContext& context) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(file, error);
  if (!fs::exists(status) || fs::is_regular_file(status)) return;
  std::string what = "is no file";
  if (fs::is_directory(status)) what = "is a folder";
  if (fs::is_symlink(status)) what = "is a link to " + fs::read_symlink(file, error).string();
  throw ConfigError(file.string() + " " + what + ": choose another name", context);
}

}  // namespace

fs::path unfinished_name(const fs::path& file) { return file.string() + ".part"; }

void check_name_length(const fs::path& path, const ErrorContext& context) {
  const long limit = ::pathconf(existing_part(parent_of(path)).c_str(), _PC_NAME_MAX);
  const auto most = static_cast<size_t>(limit > 0 ? limit : NAME_MAX);
  const size_t bytes = path.filename().native().size();
  if (bytes > most)
    throw ConfigError("the name " + path.filename().string() + " is " + std::to_string(bytes - most) +
                          (bytes - most == 1 ? " byte" : " bytes") + " too long: it has " + std::to_string(bytes) +
                          ", and " + std::to_string(most) + " are possible; choose a shorter name",
                      context);
  if (path.native().size() >= PATH_MAX)
    throw ConfigError("the path " + path.string() + " is too long: it has " + std::to_string(path.native().size()) +
                          " bytes, and less than " + std::to_string(PATH_MAX) + " are possible",
                      context);
}

void check_folder_is_writable(const fs::path& folder, const ErrorContext& context) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    const bool exists = fs::exists(folder, error);
    throw MediaError("cannot write to " + folder.string() +
                         (exists ? ": it is not a folder" : ": there is no such folder; create it first"),
                     context);
  }
  // Tried, since permissions do not tell everything: read-only and special file systems, quotas of files.
  std::string probe = (folder / ".flashblock-XXXXXX").string();
  const FileDescriptor file(::mkostemp(probe.data(), O_CLOEXEC));
  if (!file) throw MediaError("cannot write to " + folder.string() + ": " + std::strerror(errno), context);
  ::unlink(probe.c_str());
}

void check_folder_can_be_made(const fs::path& folder, const ErrorContext& context) {
  check_folder_is_writable(existing_part(folder), context);
}

void check_output_name(const fs::path& file, const ErrorContext& context) {
  for (const fs::path& name : {file, unfinished_name(file)}) {
    check_name_length(name, context);
    check_no_other_kind(name, context);
  }
}

fs::path real_path(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? path : real;
}

}  // namespace flashblock
