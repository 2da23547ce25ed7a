#include "weights/unpickler.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "core/error.h"
#include "weights/pickle_calls.h"
#include "weights/pickle_opcodes.h"

namespace flashblock {
namespace {

using Graph = PickleGraph;
using Ref = Graph::Ref;
using enum PickleOpcode;

constexpr size_t kMaxPickleBytes = 16 << 20;  // a thousand tensors take about 0.15 MB
constexpr size_t kMaxRank = 16;

using DtypeNames = std::unordered_map<std::string_view, at::ScalarType>;

std::optional<at::ScalarType> find_dtype(const DtypeNames& dtypes, std::string_view name) {
  const auto found = dtypes.find(name);
  return found == dtypes.end() ? std::nullopt : std::optional(found->second);
}

// torch.FloatStorage and similar. An untyped storage counts bytes.
std::optional<at::ScalarType> storage_dtype(const Graph::Global& global) {
  static const DtypeNames dtypes = {
      {"DoubleStorage", at::kDouble},     {"FloatStorage", at::kFloat}, {"HalfStorage", at::kHalf},
      {"BFloat16Storage", at::kBFloat16}, {"LongStorage", at::kLong},   {"IntStorage", at::kInt},
      {"ShortStorage", at::kShort},       {"CharStorage", at::kChar},   {"ByteStorage", at::kByte},
      {"BoolStorage", at::kBool},         {"UntypedStorage", at::kByte}};
  if (global.module != "torch" && global.module != "torch.cuda" && global.module != "torch.storage")
    return std::nullopt;
  return find_dtype(dtypes, global.name);
}

// torch.float8_e4m3fn and similar: the types that tensors of an untyped storage state.
std::optional<at::ScalarType> stated_dtype(const Graph::Global& global) {
  static const DtypeNames dtypes = {{"float8_e4m3fn", at::kFloat8_e4m3fn},
                                    {"float8_e5m2", at::kFloat8_e5m2},
                                    {"float8_e4m3fnuz", at::kFloat8_e4m3fnuz},
                                    {"float8_e5m2fnuz", at::kFloat8_e5m2fnuz},
                                    {"float8_e8m0fnu", at::kFloat8_e8m0fnu},
                                    {"float64", at::kDouble},
                                    {"float32", at::kFloat},
                                    {"float16", at::kHalf},
                                    {"bfloat16", at::kBFloat16},
                                    {"uint16", at::kUInt16},
                                    {"uint32", at::kUInt32},
                                    {"uint64", at::kUInt64},
                                    {"int64", at::kLong},
                                    {"int32", at::kInt},
                                    {"int16", at::kShort},
                                    {"int8", at::kChar},
                                    {"uint8", at::kByte},
                                    {"bool", at::kBool}};
  return global.module == "torch" ? find_dtype(dtypes, global.name) : std::nullopt;
}

class Unpickler {
 public:
  Unpickler(const std::string& file, std::span<const std::byte> pickle, const StorageLoader& load_storage)
      : file_(file), pickle_(pickle), load_storage_(load_storage) {}

  Graph run() {
    if (pickle_.size() > kMaxPickleBytes)
      refuse("its pickle has " + std::to_string(pickle_.size()) + " bytes, at most 16 MB are allowed");
    while (step(integer<uint8_t>())) {
    }
    graph_.root = pop();
    return std::move(graph_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw WeightsError(file_ + ": " + what + " (byte " + std::to_string(position_) +
                       " of its pickle); the file is damaged or not a plain checkpoint: download it again, or convert "
                       "it to safetensors");
  }

  // --- reading bytes

  std::string_view take(uint64_t size) {
    if (size > pickle_.size() - position_) refuse("unexpected end of the pickle");
    const std::string_view taken(reinterpret_cast<const char*>(pickle_.data()) + position_, size);
    position_ += size;
    return taken;
  }

  template <typename Integer>
  Integer integer() {
    Integer value;
    std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));  // pickle is little-endian
    return value;
  }

  std::string line() {
    const std::string_view rest(reinterpret_cast<const char*>(pickle_.data()) + position_, pickle_.size() - position_);
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) refuse("unexpected end of the pickle");
    position_ += end + 1;
    return std::string(rest.substr(0, end));
  }

  double big_endian_double() {
    uint64_t bits = 0;
    for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
    return std::bit_cast<double>(bits);
  }

  // A little-endian two's complement integer of `size` bytes; those over 64 bits are opaque.
  Graph::Value long_integer(uint64_t size) {
    const std::string_view bytes = take(size);
    if (size > 8) return Graph::Opaque{};
    uint64_t bits = !bytes.empty() && (bytes.back() & 0x80) ? ~uint64_t{0} : 0;
    for (size_t i = bytes.size(); i-- > 0;) bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
    return static_cast<int64_t>(bits);
  }

  // --- stack and memo

  void push(Graph::Value value) {
    graph_.values.push_back(std::move(value));
    stack_.push_back(static_cast<Ref>(graph_.values.size() - 1));
  }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  Ref top() const {
    if (stack_.size() <= floor()) refuse("stack underflow");
    return stack_.back();
  }

  Ref pop() {
    const Ref ref = top();
    stack_.pop_back();
    return ref;
  }

  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) refuse("a mark is missing on the stack");
    std::vector<Ref> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  std::vector<Ref> pop_many(size_t count) {
    std::vector<Ref> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    return items;
  }

  void put(uint32_t index) { memo_[index] = top(); }

  void get(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse("memo entry " + std::to_string(index) + " is undefined");
    stack_.push_back(found->second);
  }

  template <typename Kind>
  Kind* as(Ref ref) {
    return std::get_if<Kind>(&graph_.values[ref]);
  }

  // --- containers; items of objects of unknown classes are dropped

  void append(const std::vector<Ref>& items) {
    const Ref target = top();
    if (auto* list = as<Graph::List>(target)) {
      list->items.insert(list->items.end(), items.begin(), items.end());
    } else if (!as<Graph::Opaque>(target)) {
      refuse("append to an object that is not a list");
    }
  }

  void set_items(const std::vector<Ref>& items) {
    if (items.size() % 2 != 0) refuse("a key without a value");
    const Ref target = top();
    if (auto* dict = as<Graph::Dict>(target)) {
      for (size_t i = 0; i < items.size(); i += 2) dict->items.emplace_back(items[i], items[i + 1]);
    } else if (!as<Graph::Opaque>(target)) {
      refuse("items of an object that is not a dictionary");
    }
  }

  Graph::Value make_dict(const std::vector<Ref>& items) {
    if (items.size() % 2 != 0) refuse("a key without a value");
    Graph::Dict dict;
    for (size_t i = 0; i < items.size(); i += 2) dict.items.emplace_back(items[i], items[i + 1]);
    return dict;
  }

  // --- calls of known globals

  int64_t integer_value(Ref ref) {
    const int64_t* value = as<int64_t>(ref);
    if (!value) refuse("a tensor's size, stride or offset is not an integer");
    return *value;
  }

  std::vector<int64_t> integer_tuple(Ref ref) {
    const auto* tuple = as<Graph::Tuple>(ref);
    if (!tuple || tuple->items.size() > kMaxRank) refuse("a tensor's shape is not a tuple of at most 16 integers");
    std::vector<int64_t> values;
    for (const Ref item : tuple->items) values.push_back(integer_value(item));
    return values;
  }

  // torch._utils._rebuild_tensor[_v2](storage, offset, size, stride, ...)
  Graph::Value rebuild_tensor(const std::vector<Ref>& arguments) {
    if (arguments.size() < 4) refuse("a tensor has fewer than 4 arguments");
    if (const auto* unread = as<Graph::UnreadTensor>(arguments[0])) return *unread;
    const auto* storage = as<Graph::Storage>(arguments[0]);
    if (!storage) return Graph::UnreadTensor{"a storage of an unknown class"};
    return view(storage->elements, arguments);
  }

  // torch._utils._rebuild_tensor_v3(untyped storage, offset, size, stride, requires_grad, hooks, dtype, ...)
  Graph::Value rebuild_typed_tensor(const std::vector<Ref>& arguments) {
    if (arguments.size() < 7) refuse("a tensor with a dtype has fewer than 7 arguments");
    const auto* storage = as<Graph::Storage>(arguments[0]);
    const auto* named = as<Graph::Global>(arguments[6]);
    const auto dtype = named ? stated_dtype(*named) : std::nullopt;
    if (!storage || !dtype) return Graph::UnreadTensor{named ? "the dtype " + named->name : "an unknown dtype"};
    const auto bytes = static_cast<int64_t>(storage->elements.nbytes());
    return view(load_storage_(storage->key, *dtype, bytes / static_cast<int64_t>(c10::elementSize(*dtype))), arguments);
  }

  // torch._tensor._rebuild_from_type_v2(function, class, arguments, attributes): a tensor of a subclass, with its data.
  Graph::Value rebuild_subclass(const std::vector<Ref>& arguments) {
    if (arguments.size() < 3) refuse("a tensor of a subclass has fewer than 3 arguments");
    const auto* function = as<Graph::Global>(arguments[0]);
    const auto* own = as<Graph::Tuple>(arguments[2]);
    if (!function || !own || function->module != "torch._utils")
      return Graph::UnreadTensor{"torch._tensor._rebuild_from_type_v2"};
    return call(*function, own->items);
  }

  // _, offset, size, stride, ...
  Graph::Value view(const at::Tensor& elements, const std::vector<Ref>& arguments) {
    const int64_t offset = integer_value(arguments[1]);
    const auto sizes = integer_tuple(arguments[2]), strides = integer_tuple(arguments[3]);
    check_view(elements.numel(), offset, sizes, strides);
    return elements.as_strided(sizes, strides, offset);
  }

  void check_view(int64_t storage_elements, int64_t offset, const std::vector<int64_t>& sizes,
                  const std::vector<int64_t>& strides) {
    const auto negative = [](int64_t value) { return value < 0; };
    if (sizes.size() != strides.size())
      refuse("a tensor has " + std::to_string(strides.size()) + " strides for " + std::to_string(sizes.size()) +
             " dimensions");
    if (offset < 0 || std::any_of(sizes.begin(), sizes.end(), negative) ||
        std::any_of(strides.begin(), strides.end(), negative))
      refuse("a tensor has a negative size, stride or offset");
    __int128 count = 1, last = offset;
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      last += static_cast<__int128>(std::max<int64_t>(sizes[axis], 1) - 1) * strides[axis];
      count *= std::max<int64_t>(sizes[axis], 1);
      // The count must fit the storage, too: with zero strides, a small file could claim any amount of memory.
      if (last > INT64_MAX || count > INT64_MAX) refuse("a tensor's size overflows");
    }
    const bool empty = std::find(sizes.begin(), sizes.end(), 0) != sizes.end();
    if (empty ? offset > storage_elements : (last >= storage_elements || count > storage_elements))
      refuse("a tensor exceeds its storage of " + std::to_string(storage_elements) + " elements");
  }

  Graph::Value reduce(Ref callable, Ref arguments_ref) {
    const auto* arguments = as<Graph::Tuple>(arguments_ref);
    if (!arguments) refuse("a call without a tuple of arguments");
    const auto* global = as<Graph::Global>(callable);
    if (!global) return Graph::Opaque{};
    if (global->name == "getattr") check_attribute(*arguments);
    return call(*global, arguments->items);
  }

  Graph::Value call(const Graph::Global& function, const std::vector<Ref>& arguments) {
    const auto& [module, name] = function;
    if (module == "collections" && ((name == "OrderedDict" && arguments.empty()) || name == "defaultdict"))
      return Graph::Dict{};
    if (module == "torch._utils") {
      if (name == "_rebuild_tensor" || name == "_rebuild_tensor_v2") return rebuild_tensor(arguments);
      if (name == "_rebuild_tensor_v3") return rebuild_typed_tensor(arguments);
      const bool parameter = name == "_rebuild_parameter" || name == "_rebuild_parameter_with_state";
      if (parameter && !arguments.empty() && is_tensor(arguments[0])) return graph_.values[arguments[0]];
    }
    if (module == "torch._tensor" && name == "_rebuild_from_type_v2") return rebuild_subclass(arguments);
    if (makes_tensor(function, arguments)) return Graph::UnreadTensor{module + "." + name};
    return Graph::Opaque{};
  }

  // getattr(object, name), of which torch.save makes nested classes.
  void check_attribute(const Graph::Tuple& arguments) {
    const auto* name = arguments.items.size() > 1 ? as<std::string>(arguments.items[1]) : nullptr;
    if (name && leads_to_code(*name)) refuse_code("getattr(..., '" + *name + "')");
  }

  bool is_tensor(Ref ref) { return as<at::Tensor>(ref) || as<Graph::UnreadTensor>(ref); }

  // Whether a function that is not known makes a tensor or an array: by its name, or because it gets one.
  bool makes_tensor(const Graph::Global& function, const std::vector<Ref>& arguments) {
    if (function.module.starts_with("torch") && function.name.starts_with("_rebuild")) return true;
    if (function.module.starts_with("numpy") && (function.name == "_reconstruct" || function.name == "_frombuffer"))
      return true;
    return std::any_of(arguments.begin(), arguments.end(),
                       [this](Ref argument) { return is_tensor(argument) || as<Graph::Storage>(argument); });
  }

  // ("storage", torch.FloatStorage, key, location, numel)
  Graph::Value persistent_object(Ref id) {
    const auto* tuple = as<Graph::Tuple>(id);
    const auto* kind = tuple && tuple->items.size() == 5 ? as<std::string>(tuple->items[0]) : nullptr;
    if (!kind || *kind != "storage") return Graph::Opaque{};
    const auto* storage_class = as<Graph::Global>(tuple->items[1]);
    if (!storage_class) return Graph::Opaque{};
    const auto dtype = storage_dtype(*storage_class);
    if (!dtype) return Graph::UnreadTensor{storage_class->module + "." + storage_class->name};
    const auto* key = as<std::string>(tuple->items[2]);
    if (!key) refuse("a storage has no key");
    return Graph::Storage{load_storage_(*key, *dtype, integer_value(tuple->items[4])), *key};
  }

  Graph::Value global() {
    std::string module = line(), name = line();
    if (runs_code(module, name)) refuse_code(module + "." + name);
    return Graph::Global{std::move(module), std::move(name)};
  }

  [[noreturn]] void refuse_code(const std::string& what) const {
    throw WeightsError(file_ + ": its pickle names " + what + ", which would run code in a Python that loads it; " +
                       "nothing of the file is used: delete it, and take a safetensors release");
  }

  // Executes one opcode; returns false after the last one.
  bool step(uint8_t opcode) {
    switch (PickleOpcode{opcode}) {
      case kStop:
        return false;
      case kProto:
        if (const int version = integer<uint8_t>(); version != 2)
          refuse("pickle protocol " + std::to_string(version) + " is not supported, only torch.save's protocol 2");
        return true;
      case kMark:
        marks_.push_back(stack_.size());
        return true;
      case kPop:
        pop();
        return true;
      case kPopMark:
        pop_to_mark();
        return true;
      case kDup:
        stack_.push_back(top());
        return true;
      case kBinPut:
        put(integer<uint8_t>());
        return true;
      case kLongBinPut:
        put(integer<uint32_t>());
        return true;
      case kBinGet:
        get(integer<uint8_t>());
        return true;
      case kLongBinGet:
        get(integer<uint32_t>());
        return true;
      case kAppend:
        append({pop()});
        return true;
      case kAppends:
        append(pop_to_mark());
        return true;
      case kSetItem:
        set_items(pop_many(2));
        return true;
      case kSetItems:
        set_items(pop_to_mark());
        return true;
      case kBuild:  // attributes of an object: ignored
        pop();
        top();
        return true;
      default:
        push(make(opcode));
        return true;
    }
  }

  // The object that an opcode creates.
  Graph::Value make(uint8_t opcode) {
    switch (PickleOpcode{opcode}) {
      case kNone:
        return Graph::None{};
      case kNewTrue:
        return true;
      case kNewFalse:
        return false;
      case kBinInt:
        return static_cast<int64_t>(integer<int32_t>());
      case kBinInt1:
        return static_cast<int64_t>(integer<uint8_t>());
      case kBinInt2:
        return static_cast<int64_t>(integer<uint16_t>());
      case kLong1:
        return long_integer(integer<uint8_t>());
      case kLong4:
        return long_integer(integer<uint32_t>());
      case kBinFloat:
        return big_endian_double();
      case kShortBinString:
        return std::string(take(integer<uint8_t>()));
      case kBinString:
      case kBinUnicode:
        return std::string(take(integer<uint32_t>()));
      case kEmptyList:
        return Graph::List{};
      case kEmptyDict:
        return Graph::Dict{};
      case kEmptyTuple:
        return Graph::Tuple{};
      case kList:
        return Graph::List{pop_to_mark()};
      case kDict:
        return make_dict(pop_to_mark());
      case kTuple:
        return Graph::Tuple{pop_to_mark()};
      case kTuple1:
        return Graph::Tuple{pop_many(1)};
      case kTuple2:
        return Graph::Tuple{pop_many(2)};
      case kTuple3:
        return Graph::Tuple{pop_many(3)};
      case kGlobal:
        return global();
      case kNewObj:
        pop_many(2);
        return Graph::Opaque{};
      case kReduce: {
        const auto call = pop_many(2);
        return reduce(call[0], call[1]);
      }
      case kBinPersId:
        return persistent_object(pop());
      default:
        refuse("unknown opcode " + std::to_string(opcode));
    }
  }

  const std::string& file_;
  std::span<const std::byte> pickle_;
  const StorageLoader& load_storage_;
  size_t position_ = 0;
  Graph graph_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, Ref> memo_;
};

}  // namespace

PickleGraph read_pickle(const std::string& file, std::span<const std::byte> pickle, const StorageLoader& load_storage) {
  return Unpickler(file, pickle, load_storage).run();
}

}  // namespace flashblock
