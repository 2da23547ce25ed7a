#include "app/output_check.h"

#include <unistd.h>

#include "app/sidecar.h"
#include "core/error.h"
#include "media/film_writer.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

void check_file(const fs::path& file, const char* option, const char* extension) {
  if (file.empty()) return;
  if (file.extension() != extension) {
    throw ConfigError(std::string(option) + " " + file.string() + ": wanted a name that ends in " + extension);
  }
  if (fs::is_directory(file)) throw ConfigError(std::string(option) + " " + file.string() + " is a folder");
  const fs::path folder = fs::absolute(file).parent_path();
  if (!fs::is_directory(folder)) {
    throw MediaError(std::string(option) + " " + file.string() + ": there is no folder " + folder.string() +
                     "; make it first");
  }
  if (access(folder.c_str(), W_OK) != 0) {
    throw MediaError(std::string(option) + " " + file.string() + ": the folder " + folder.string() +
                     " cannot be written");
  }
}

}  // namespace

void check_outputs(const FilmSetup& setup) {
  const RenderConfig& config = setup.config;
  const FilmFormat format{.width = config.width, .height = config.height, .fps = config.fps, .encoder = config.encoder};
  check_film_can_be_written(config.output, config.overwrite ? ExistingFilm::kReplace : ExistingFilm::kRefuse,
                            estimated_bytes(format, setup.plan.pictures));
  check_file(config.contact_sheet, "--contact-sheet", ".png");
  check_file(config.record, "--record", ".safetensors");
  for (const fs::path& file : {config.contact_sheet, config.record}) {
    if (file.empty() || config.overwrite || !fs::exists(file)) continue;
    throw ConfigError(file.string() + " exists already: give another name, or --overwrite");
  }
}

}  // namespace flashblock
