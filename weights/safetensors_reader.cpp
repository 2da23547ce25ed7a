#include "weights/safetensors_reader.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <vector>

#include "core/error.h"
#include "core/file_kind.h"
#include "weights/mapped_tensor.h"

namespace flashblock {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as in the reference implementation

struct DtypeName {
  std::string_view name;
  at::ScalarType dtype;
};
constexpr std::array kDtypes = {
    DtypeName{"F64", at::kDouble},
    DtypeName{"F32", at::kFloat},
    DtypeName{"F16", at::kHalf},
    DtypeName{"BF16", at::kBFloat16},
    DtypeName{"I64", at::kLong},
    DtypeName{"I32", at::kInt},
    DtypeName{"I16", at::kShort},
    DtypeName{"I8", at::kChar},
    DtypeName{"U8", at::kByte},
    DtypeName{"BOOL", at::kBool},
    DtypeName{"F8_E4M3", at::kFloat8_e4m3fn},
    DtypeName{"F8_E5M2", at::kFloat8_e5m2},
};

[[noreturn]] void refuse(const MappedFile& file, const std::string& what) {
  const KnownFile found = known_file(file.path());
  if (found.kind != FileKind::kUnknown && found.kind != FileKind::kWeights)
    throw WeightsError(file.path().string() + " is " + found.words + ", wanted a safetensors file");
  throw WeightsError(file.path().string() + ": " + what +
                     "; the file is damaged or not a safetensors file: download it again");
}

// Parses the header; rejects what nlohmann::json accepts: duplicate names and deep nesting.
json parse_header(const MappedFile& file, std::string_view text) {
  std::vector<std::set<std::string>> names;
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > 3) refuse(file, "the header is nested too deeply");
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event == json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
      refuse(file, "the name '" + value.get<std::string>() + "' appears twice in the header");
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::exception&) {
    refuse(file, "the header is not valid JSON");
  }
}

struct Entry {
  std::string name;
  at::ScalarType dtype;
  std::vector<int64_t> shape;
  uint64_t begin, end;
};

std::vector<uint64_t> unsigned_list(const MappedFile& file, const json& entry, const char* key,
                                    const std::string& name) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array() ||
      !std::all_of(found->begin(), found->end(), [](const json& value) { return value.is_number_unsigned(); }))
    refuse(file, "tensor '" + name + "': '" + key + "' is not a list of non-negative integers");
  return found->get<std::vector<uint64_t>>();
}

Entry parse_entry(const MappedFile& file, const std::string& name, const json& value, uint64_t data_bytes) {
  if (!value.is_object()) refuse(file, "the entry of tensor '" + name + "' is not an object");
  const auto dtype_text = value.find("dtype");
  if (dtype_text == value.end() || !dtype_text->is_string()) refuse(file, "tensor '" + name + "' has no dtype");
  const auto dtype = safetensors_dtype(dtype_text->get_ref<const std::string&>());
  if (!dtype)
    throw WeightsError(file.path().string() + ": tensor '" + name + "' has the dtype '" +
                       dtype_text->get<std::string>() + "', which is not supported; convert it to BF16 or F32");
  Entry entry{name, *dtype, {}, 0, 0};
  int64_t bytes = static_cast<int64_t>(c10::elementSize(*dtype));
  int64_t extent = bytes;  // the same with empty dimensions as 1, since strides are computed from it
  for (const uint64_t size : unsigned_list(file, value, "shape", name)) {
    if (__builtin_mul_overflow(extent, std::max<uint64_t>(size, 1), &extent))
      refuse(file, "tensor '" + name + "': its shape overflows");
    bytes *= static_cast<int64_t>(size);
    entry.shape.push_back(static_cast<int64_t>(size));
  }
  const auto offsets = unsigned_list(file, value, "data_offsets", name);
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes)
    refuse(file,
           "tensor '" + name + "': its data is outside the file's " + std::to_string(data_bytes) + " bytes of data");
  if (offsets[1] - offsets[0] != static_cast<uint64_t>(bytes))
    refuse(file, "tensor '" + name + "': its shape needs " + std::to_string(bytes) + " bytes, its data has " +
                     std::to_string(offsets[1] - offsets[0]));
  entry.begin = offsets[0];
  entry.end = offsets[1];
  return entry;
}

void check_layout(const MappedFile& file, std::vector<Entry>& entries, uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin < position) refuse(file, "tensor '" + entry.name + "' overlaps another tensor");
    if (entry.begin > position) refuse(file, "there is a gap in the data before tensor '" + entry.name + "'");
    position = entry.end;
  }
  if (position != data_bytes)
    refuse(file, std::to_string(data_bytes - position) + " bytes of data belong to no tensor");
}

std::map<std::string, std::string> parse_metadata(const MappedFile& file, const json& value) {
  if (!value.is_object() || !std::all_of(value.begin(), value.end(), [](const json& text) { return text.is_string(); }))
    refuse(file, "'__metadata__' is not an object of strings");
  return value.get<std::map<std::string, std::string>>();
}

}  // namespace

ContainerContents read_safetensors(const std::shared_ptr<const MappedFile>& file) {
  const auto bytes = file->bytes();
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof(header_bytes))
    refuse(*file, "the file has only " + std::to_string(bytes.size()) + " bytes");
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));  // little-endian, as all supported machines
  if (header_bytes > kMaxHeaderBytes)
    refuse(*file, "its header claims " + std::to_string(header_bytes) + " bytes, at most 100000000 are allowed");
  if (header_bytes > bytes.size() - sizeof(header_bytes))
    refuse(*file, "its header claims " + std::to_string(header_bytes) + " bytes, the file has only " +
                      std::to_string(bytes.size()));
  const auto data = bytes.subspan(sizeof(header_bytes) + header_bytes);
  const json header = parse_header(
      *file, {reinterpret_cast<const char*>(bytes.data()) + sizeof(header_bytes), static_cast<size_t>(header_bytes)});
  if (!header.is_object()) refuse(*file, "the header is not a JSON object");

  ContainerContents contents;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      contents.metadata = parse_metadata(*file, value);
    } else {
      entries.push_back(parse_entry(*file, name, value, data.size()));
    }
  }
  check_layout(*file, entries, data.size());
  for (const Entry& entry : entries)
    contents.tensors.emplace(entry.name, mapped_tensor(file, data.data() + entry.begin, entry.shape, entry.dtype));
  return contents;
}

std::optional<std::string_view> safetensors_dtype_name(at::ScalarType dtype) {
  for (const DtypeName& known : kDtypes)
    if (known.dtype == dtype) return known.name;
  return std::nullopt;
}

std::optional<at::ScalarType> safetensors_dtype(std::string_view name) {
  for (const DtypeName& known : kDtypes)
    if (known.name == name) return known.dtype;
  return std::nullopt;
}

}  // namespace flashblock
