// A restricted reader of Python pickles: it creates dictionaries, lists, strings, numbers and tensors, and executes
// nothing. Source: Python `Lib/pickletools.py` (opcodes of protocol 2), PyTorch `torch/serialization.py` and
// `torch/_utils.py`.
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

/// The objects of one pickle. They refer to each other by index, which makes cyclic and very deep graphs harmless.
struct PickleGraph {
  using Ref = uint32_t;
  struct None {};
  /// The name of a class or function, which is never imported or called.
  struct Global {
    std::string module, name;
  };
  /// An object of an unknown class.
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
  /// All elements of a storage, [N]. Wrapped to distinguish it from the tensors that view it.
  struct Storage {
    at::Tensor elements;
    std::string key;  ///< of its record
  };
  /// A tensor, or an array, of a kind that is not read.
  struct UnreadTensor {
    std::string maker;  ///< what would make it in Python, such as "torch._utils._rebuild_qtensor"
  };
  using Value = std::variant<None, bool, int64_t, double, std::string, Global, Opaque, List, Tuple, Dict, Storage,
                             UnreadTensor, at::Tensor>;

  std::deque<Value> values;
  Ref root = 0;

  const Value& operator[](Ref ref) const { return values[ref]; }
};

/// Returns the storage that a pickle refers to: [numel] elements of `dtype` from the record `key`.
using StorageLoader = std::function<at::Tensor(const std::string& key, at::ScalarType dtype, int64_t numel)>;

/// Reads one pickle of protocol 2. The only globals interpreted are OrderedDict and defaultdict of collections, torch's
/// storage classes and dtypes, and the functions of torch._utils and torch._tensor that make tensors of plain data and
/// parameters of these. What other functions make of tensors or storages is an UnreadTensor, other objects are Opaque.
/// Tensors are checked to lie inside their storage. Throws: WeightsError beginning with `file` if the pickle is
/// truncated, inconsistent or of another protocol.
PickleGraph read_pickle(const std::string& file, std::span<const std::byte> pickle, const StorageLoader& load_storage);

}  // namespace flashblock
