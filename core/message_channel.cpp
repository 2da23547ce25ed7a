#include "core/message_channel.h"

#include <ATen/ops/empty.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <vector>

namespace flashblock {
namespace {

/// What precedes text, sizes of the tensor, and its elements.
struct Header {
  int64_t text_bytes = 0, dimensions = -1, dtype = 0;
};

}  // namespace

bool MessageChannel::send(const ChannelMessage& message) {
  const at::Tensor tensor = message.tensor.defined() ? message.tensor.cpu().contiguous() : at::Tensor();
  Header header{.text_bytes = std::ssize(message.text)};
  if (tensor.defined()) {
    header.dimensions = tensor.dim();
    header.dtype = static_cast<int64_t>(tensor.scalar_type());
  }
  if (!write(&header, sizeof header) || !write(message.text.data(), message.text.size())) return false;
  return !tensor.defined() || (write(tensor.sizes().data(), tensor.sizes().size() * sizeof(int64_t)) &&
                               write(tensor.const_data_ptr(), tensor.nbytes()));
}

std::optional<ChannelMessage> MessageChannel::receive() {
  Header header;
  if (!read(&header, sizeof header)) return {};
  ChannelMessage message{.text = std::string(static_cast<size_t>(header.text_bytes), '\0')};
  if (!read(message.text.data(), message.text.size())) return {};
  if (header.dimensions < 0) return message;
  std::vector<int64_t> sizes(static_cast<size_t>(header.dimensions));
  if (!read(sizes.data(), sizes.size() * sizeof(int64_t))) return {};
  message.tensor = at::empty(sizes, static_cast<at::ScalarType>(header.dtype));
  if (!read(message.tensor.data_ptr(), message.tensor.nbytes())) return {};
  return message;
}

bool MessageChannel::read(void* data, size_t bytes) {
  for (size_t got = 0; got < bytes;) {
    const ssize_t more = ::recv(socket_.get(), static_cast<char*>(data) + got, bytes - got, 0);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) return false;
    got += static_cast<size_t>(more);
  }
  return true;
}

bool MessageChannel::write(const void* data, size_t bytes) {
  for (size_t sent = 0; sent < bytes;) {
    const ssize_t more = ::send(socket_.get(), static_cast<const char*>(data) + sent, bytes - sent, MSG_NOSIGNAL);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) return false;
    sent += static_cast<size_t>(more);
  }
  return true;
}

}  // namespace flashblock
