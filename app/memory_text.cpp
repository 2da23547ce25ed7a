#include "app/memory_text.h"

#include <cstdio>

namespace flashblock {

std::string megabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

std::string memory_text(const MemoryEstimate& memory, const std::string& front) {
  std::string text = front + "expected memory: " + megabytes(memory.host_bytes);
  if (!memory.device.empty()) text += ", and " + megabytes(memory.device_bytes) + " on the GPU";
  text += "\n";
  const auto add = [&](const char* where, const MemoryPart& part) {
    text += front + "  " + where + part.name + ": " + megabytes(part.bytes) + "\n";
  };
  for (const MemoryPart& part : memory.host) add("", part);
  for (const MemoryPart& part : memory.device) add("on the GPU, ", part);
  return text;
}

}  // namespace flashblock
