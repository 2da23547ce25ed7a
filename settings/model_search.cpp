#include "settings/model_search.h"

#include <cstdlib>
#include <sstream>

#include "core/error.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

void add_from_environment(std::vector<fs::path>& folders) {
  const char* variable = std::getenv("FLASHBLOCK_MODELS");
  std::istringstream list(variable ? variable : "");
  for (std::string folder; std::getline(list, folder, ':');) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
}

// Where scripts/download-models puts models. Source: XDG Base Directory Specification, $XDG_DATA_HOME.
void add_users_folder(std::vector<fs::path>& folders) {
  const char* const data = std::getenv("XDG_DATA_HOME");
  const char* const home = std::getenv("HOME");
  const fs::path root = data && *data ? fs::path(data) : home ? fs::path(home) / ".local/share" : fs::path();
  if (!root.empty() && fs::is_directory(root / "flashblock/models")) folders.push_back(root / "flashblock/models");
}

bool is_model(const fs::path& path) {
  return fs::is_regular_file(path) || (fs::is_directory(path) && fs::exists(path / "model.yaml"));
}

}  // namespace

std::vector<fs::path> model_folders() {
  std::vector<fs::path> folders;
  add_from_environment(folders);
  add_users_folder(folders);
  std::error_code fault;
  const fs::path program = fs::read_symlink("/proc/self/exe", fault);
  if (fault) return folders;
  // The program is PREFIX/bin/flashblock when installed, ROOT/bin/flashblock in a bundle, and
  // SOURCE/build/PRESET/app/flashblock when built. The files in configs/models come without weights: they state where
  // to download them, or why a model cannot be rendered.
  fs::path folder = program.parent_path();
  for (int levels = 0; levels < 4 && folder.has_relative_path(); ++levels, folder = folder.parent_path()) {
    for (const char* models : {"share/flashblock/models", "assets", "configs/models"}) {
      if (fs::is_directory(folder / models)) folders.push_back(folder / models);
    }
  }
  return folders;
}

fs::path find_model(const std::string& name) {
  if (fs::exists(name)) return fs::absolute(name);
  std::string searched;
  for (const fs::path& folder : model_folders()) {
    for (const fs::path& candidate : {folder / name, folder / (name + ".yaml")}) {
      if (is_model(candidate)) return candidate;
    }
    searched += (searched.empty() ? "" : ", ") + folder.string();
  }
  if (searched.empty()) searched = "a model folder (set FLASHBLOCK_MODELS to one)";
  throw WeightsError("there is no model '" + name + "': neither a file or folder here, nor a model of that name in " +
                     searched + "; give a model file, or a folder with a model.yaml, with --model");
}

}  // namespace flashblock
