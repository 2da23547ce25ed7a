#include "weights/zip_archive.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/error.h"

namespace flashblock {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50;
constexpr uint32_t kZip64End = 0x06064b50, kZip64Locator = 0x07064b50;
constexpr size_t kEndBytes = 22, kZip64EndBytes = 56, kZip64LocatorBytes = 20, kCentralBytes = 46, kLocalBytes = 30;
constexpr size_t kMaxCommentBytes = 65535;
constexpr uint16_t kStored = 0, kZip64Extra = 1, kEncrypted = 1;
constexpr uint32_t kInZip64 = 0xffffffff;  // a 32-bit field whose value is in the zip64 record

class ZipReader {
 public:
  explicit ZipReader(const MappedFile& file) : file_(file), bytes_(file.bytes()) {}

  std::map<std::string, Bytes> entries() const {
    const Bytes directory = central_directory();
    std::map<std::string, Bytes> entries;
    for (size_t at = 0; at < directory.size();) {
      const Bytes header = part(directory, at, kCentralBytes);
      if (get<uint32_t>(header, 0) != kCentralHeader) refuse("its directory is damaged");
      const size_t name_bytes = get<uint16_t>(header, 28), extra_bytes = get<uint16_t>(header, 30);
      const size_t comment_bytes = get<uint16_t>(header, 32);
      const std::string name = text(part(directory, at + kCentralBytes, name_bytes));
      const Bytes extra = part(directory, at + kCentralBytes + name_bytes, extra_bytes);
      if (!entries.emplace(name, entry(name, header, extra)).second) refuse("it has two entries '" + name + "'");
      at += kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    }
    return entries;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw WeightsError(file_.path().string() + ": " + what + "; the file is damaged or incomplete: download it again");
  }

  // `size` bytes of `range` from `offset` on; throws if they are outside.
  Bytes part(Bytes range, uint64_t offset, uint64_t size) const {
    if (offset > range.size() || size > range.size() - offset) refuse("its zip directory points outside the file");
    return range.subspan(offset, size);
  }

  template <typename Integer>
  Integer get(Bytes range, uint64_t offset) const {
    Integer value;
    std::memcpy(&value, part(range, offset, sizeof(value)).data(), sizeof(value));  // zip is little-endian
    return value;
  }

  static std::string text(Bytes range) { return {reinterpret_cast<const char*>(range.data()), range.size()}; }

  // The end record: the last one in the file, followed only by its comment.
  uint64_t find_end() const {
    if (bytes_.size() >= kEndBytes) {
      const uint64_t last = bytes_.size() - kEndBytes;
      const uint64_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
      for (uint64_t at = last + 1; at-- > first;)
        if (get<uint32_t>(bytes_, at) == kEnd) return at;
    }
    refuse("it begins as a zip archive but has no directory at its end");
  }

  Bytes central_directory() const {
    const uint64_t end = find_end();
    uint64_t size = get<uint32_t>(bytes_, end + 12), offset = get<uint32_t>(bytes_, end + 16);
    if (end >= kZip64LocatorBytes && get<uint32_t>(bytes_, end - kZip64LocatorBytes) == kZip64Locator) {
      const Bytes record = part(bytes_, get<uint64_t>(bytes_, end - kZip64LocatorBytes + 8), kZip64EndBytes);
      if (get<uint32_t>(record, 0) != kZip64End) refuse("its zip64 directory is damaged");
      size = get<uint64_t>(record, 40);
      offset = get<uint64_t>(record, 48);
    }
    return part(bytes_, offset, size);
  }

  // The 64-bit values of a central header, in the order of the 32-bit fields that are all ones.
  void read_zip64(Bytes extra, uint64_t& size, uint64_t& stored, uint64_t& offset) const {
    for (size_t at = 0; at + 4 <= extra.size();) {
      const Bytes field = part(extra, at + 4, get<uint16_t>(extra, at + 2));
      if (get<uint16_t>(extra, at) == kZip64Extra) {
        size_t next = 0;
        for (uint64_t* value : {&size, &stored, &offset}) {
          if (*value != kInZip64) continue;
          *value = get<uint64_t>(field, next);
          next += sizeof(uint64_t);
        }
        return;
      }
      at += 4 + field.size();
    }
  }

  Bytes entry(const std::string& name, Bytes header, Bytes extra) const {
    uint64_t stored = get<uint32_t>(header, 20), size = get<uint32_t>(header, 24), offset = get<uint32_t>(header, 42);
    read_zip64(extra, size, stored, offset);
    if (get<uint16_t>(header, 8) & kEncrypted) refuse("its entry '" + name + "' is encrypted");
    if (get<uint16_t>(header, 10) != kStored || size != stored)
      throw WeightsError(file_.path().string() + ": its entry '" + name +
                         "' is compressed, which torch.save never does; save the weights again with torch.save");
    const Bytes local = part(bytes_, offset, kLocalBytes);
    if (get<uint32_t>(local, 0) != kLocalHeader) refuse("its entry '" + name + "' has no header");
    const uint64_t names = get<uint16_t>(local, 26), extras = get<uint16_t>(local, 28);
    return part(part(bytes_, offset, bytes_.size() - offset), kLocalBytes + names + extras, size);
  }

  const MappedFile& file_;
  Bytes bytes_;
};

}  // namespace

std::map<std::string, Bytes> read_zip_directory(const MappedFile& file) { return ZipReader(file).entries(); }

}  // namespace flashblock
