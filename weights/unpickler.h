// A restricted reader of Python pickles: it builds dictionaries, lists, texts, numbers and tensors, and runs nothing.
// Source: Python `Lib/pickletools.py` (opcodes of protocol 2), PyTorch `torch/serialization.py` and `torch/_utils.py`.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace flashblock {

/// The objects of one pickle. They refer to each other by index, so that cyclic and very deep graphs are harmless.
struct PickleGraph {
  using Ref = uint32_t;
  struct None {};
  /// A class or function by name. It is never looked up, let alone called.
  struct Global {
    std::string module, name;
  };
  /// Anything made by a class that we do not know.
  struct Opaque {};
  struct List {
    std::vector<Ref> items;
  };
  struct Tuple {
    std::vector<Ref> items;
  };
  struct Dict {
    std::vector<std::pair<Ref, Ref>> items;
  };
  /// All elements of a storage, [N]. Wrapped, to be told apart from the tensors that view it.
  struct Storage {
    at::Tensor elements;
  };
  using Value =
      std::variant<None, bool, int64_t, double, std::string, Global, Opaque, List, Tuple, Dict, Storage, at::Tensor>;

  std::deque<Value> values;
  Ref root = 0;

  const Value& operator[](Ref ref) const { return values[ref]; }
};

/// Gives the storage that a pickle refers to: [numel] elements of `dtype` from the record `key`.
using StorageLoader = std::function<at::Tensor(const std::string& key, at::ScalarType dtype, int64_t numel)>;

/// Reads one pickle of protocol 2. Of all globals only collections.OrderedDict, torch._utils._rebuild_tensor,
/// _rebuild_tensor_v2, _rebuild_parameter and torch's storage classes mean something; what others make is Opaque.
/// Tensors are checked to lie inside their storage.
/// Throws: WeightsError beginning with `file` if the pickle is truncated, inconsistent or of another protocol.
PickleGraph read_pickle(const std::string& file, std::span<const std::byte> pickle, const StorageLoader& load_storage);

}  // namespace flashblock
