#include "tests/support/torch_file_writer.h"

#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <utility>

namespace flashblock::testing {
namespace {

template <typename Integer>
void append(std::string& bytes, Integer value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));  // little-endian, as zip and pickle are
}

// CRC-32 of zip: polynomial 0xEDB88320, bit-reflected.
uint32_t crc32(const std::string& bytes) {
  static const auto table = [] {
    std::array<uint32_t, 256> values{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0xEDB88320u ^ (value >> 1) : value >> 1;
      values[i] = value;
    }
    return values;
  }();
  uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

const char* storage_class(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return "FloatStorage";
    case at::kDouble:
      return "DoubleStorage";
    case at::kHalf:
      return "HalfStorage";
    case at::kBFloat16:
      return "BFloat16Storage";
    case at::kLong:
      return "LongStorage";
    case at::kInt:
      return "IntStorage";
    case at::kByte:
      return "ByteStorage";
    case at::kBool:
      return "BoolStorage";
    default:
      throw std::logic_error("no storage class for this dtype");
  }
}

// Writes one object as a pickle of protocol 2, without memo, and collects the storages.
class PickleWriter {
 public:
  std::string pickle(const SavedDict& root) {
    text_ = "\x80\x02";
    dict(root);
    return text_ + ".";
  }
  const std::vector<std::string>& storages() const { return storages_; }

 private:
  void dict(const SavedDict& dict) {
    if (dict.type == SavedDict::Type::kDict) {
      text_ += "}";
    } else {
      text_ += "ccollections\nOrderedDict\n)R";
    }
    text_ += "(";
    for (const SavedItem& item : dict.items) {
      string(item.key);
      std::visit([this](const auto& value) { write(value); }, item.value);
    }
    text_ += "u";
  }

  void write(const SavedDict& value) { dict(value); }
  void write(const std::string& value) { string(value); }
  void write(int64_t value) {
    text_ += "\x8a\x08";  // LONG1 of 8 bytes
    append(text_, value);
  }

  void string(const std::string& value) {
    text_ += "X";
    append(text_, static_cast<uint32_t>(value.size()));
    text_ += value;
  }

  void tuple(at::IntArrayRef values) {
    text_ += "(";
    for (const int64_t value : values) write(value);
    text_ += "t";
  }

  void write(const at::Tensor& tensor) {
    const auto& storage = tensor.storage();
    text_ += "ctorch._utils\n_rebuild_tensor_v2\n((";
    string("storage");
    text_ += std::string("ctorch\n") + storage_class(tensor.scalar_type()) + "\n";
    string(key_of(storage));
    string("cpu");
    write(static_cast<int64_t>(storage.nbytes() / tensor.element_size()));
    text_ += "tQ";
    write(tensor.storage_offset());
    tuple(tensor.sizes());
    tuple(tensor.strides());
    text_ += "\x89";  // requires_grad: False
    text_ += "ccollections\nOrderedDict\n)RtR";
  }

  std::string key_of(const at::Storage& storage) {
    const auto [place, is_new] = keys_.emplace(storage.data(), keys_.size());
    if (is_new) storages_.emplace_back(static_cast<const char*>(storage.data()), storage.nbytes());
    return std::to_string(place->second);
  }

  std::string text_;
  std::vector<std::string> storages_;
  std::map<const void*, size_t> keys_;
};

}  // namespace

SavedDict state_dict(const std::vector<std::pair<std::string, at::Tensor>>& tensors, const std::string& prefix) {
  SavedDict dict{{}, SavedDict::Type::kOrderedDict};
  for (const auto& [name, tensor] : tensors) dict.items.push_back({prefix + name, tensor});
  return dict;
}

void write_torch_file(const std::filesystem::path& path, const SavedDict& root) {
  PickleWriter writer;
  std::vector<ZipEntry> entries = {{"archive/data.pkl", writer.pickle(root)}, {"archive/byteorder", "little"}};
  for (size_t i = 0; i < writer.storages().size(); ++i)
    entries.push_back({"archive/data/" + std::to_string(i), writer.storages()[i]});
  entries.push_back({"archive/version", "3\n"});
  write_bytes(path, zip_bytes(entries));
}

std::string zip_bytes(const std::vector<ZipEntry>& entries) {
  std::string bytes, directory;
  for (const ZipEntry& entry : entries) {
    // Version 2.0, flags, method, time and date of 1980-01-01, checksum, both sizes, length of the name.
    std::string common;
    for (const uint16_t field : {uint16_t{20}, entry.flags, entry.method, uint16_t{0}, uint16_t{33}})
      append(common, field);
    append(common, crc32(entry.bytes));
    append(common, static_cast<uint32_t>(entry.bytes.size()));
    append(common, static_cast<uint32_t>(entry.bytes.size()));
    append(common, static_cast<uint16_t>(entry.name.size()));
    const auto offset = static_cast<uint32_t>(bytes.size());
    const size_t unpadded = bytes.size() + 30 + entry.name.size() + 4;  // an extra field of four bytes and its padding
    const size_t padding = (64 - unpadded % 64) % 64;
    bytes += "PK\x03\x04" + common;
    append(bytes, static_cast<uint16_t>(4 + padding));
    bytes += entry.name + "FB";
    append(bytes, static_cast<uint16_t>(padding));
    bytes += std::string(padding, 'Z') + entry.bytes;

    directory += std::string("PK\x01\x02\x14\x00", 6) + common;
    directory += std::string(12, '\0');  // no extra field, no comment, first disk, no attributes
    append(directory, offset);
    directory += entry.name;
  }
  const auto start = static_cast<uint32_t>(bytes.size());
  bytes += directory + std::string("PK\x05\x06\0\0\0\0", 8);
  append(bytes, static_cast<uint16_t>(entries.size()));
  append(bytes, static_cast<uint16_t>(entries.size()));
  append(bytes, static_cast<uint32_t>(directory.size()));
  append(bytes, start);
  append(bytes, uint16_t{0});
  return bytes;
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream.flush()) throw std::runtime_error("cannot write " + path.string());
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace flashblock::testing
