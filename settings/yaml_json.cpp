#include "settings/yaml_json.h"

#include <yaml-cpp/yaml.h>

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& entry : node) object[entry.first.Scalar()] = to_json(entry.second);
    return object;
  }
  if (node.IsSequence()) {
    Json array = Json::array();
    for (const auto& entry : node) array.push_back(to_json(entry));
    return array;
  }
  if (node.IsNull()) return nullptr;
  const bool quoted = node.Tag() == "!";
  if (!quoted) {
    const Json value = Json::parse(node.Scalar(), nullptr, /*allow_exceptions=*/false);
    if (value.is_number() || value.is_boolean()) return value;
  }
  return node.Scalar();
}

}  // namespace

Json yaml_to_json(const std::string& yaml) { return to_json(YAML::Load(yaml)); }

}  // namespace flashblock
