// Messages between two processes of the program: a line of text, with a tensor if wanted.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "core/file_descriptor.h"

namespace flashblock {

struct ChannelMessage {
  std::string text;
  at::Tensor tensor = {};  ///< on the CPU; undefined: none
};

/// One end of a connection. Thread safety: one thread may send while another receives.
class MessageChannel {
 public:
  /// `socket`: a stream socket; both processes are of one build.
  explicit MessageChannel(FileDescriptor socket) : socket_(std::move(socket)) {}

  /// The tensor may be on any device. Returns false if the other end is closed.
  bool send(const ChannelMessage& message);
  /// Waits for a message; none: the other end is closed.
  std::optional<ChannelMessage> receive();

  int descriptor() const { return socket_.get(); }

 private:
  bool read(void* data, size_t bytes);
  bool write(const void* data, size_t bytes);

  FileDescriptor socket_;
};

}  // namespace flashblock
