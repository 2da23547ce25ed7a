#include "weights/torch_archive.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <gmock/gmock.h>

#include <bit>
#include <cstdint>
#include <fstream>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/test_data.h"
#include "tests/support/torch_file_writer.h"
#include "weights/weight_store.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(TorchArchive, RestoresDtypesViewsAndSharedStorages) {
  const TemporaryFolder folder;
  const at::Tensor base = at::rand({6, 5});
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"base", base},
      {"row", base[3]},
      {"transposed", base.t()},
      {"corner", base.slice(0, 2, 6, 2).slice(1, 1, 4)},
      {"bf16", at::rand({3, 2}).to(at::kBFloat16)},
      {"half", at::rand({3}).to(at::kHalf)},
      {"double", at::rand({}, at::kDouble)},
      {"ids", at::arange(7, at::kLong)},
      {"empty", at::empty({0, 3})},
  };
  write_torch_file(folder / "w.pt", state_dict(tensors));
  const auto store = WeightStore::open(folder / "w.pt");
  EXPECT_EQ(store->names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TENSORS_IDENTICAL(store->tensor(name), tensor) << name;
  EXPECT_EQ(store->tensor("transposed").strides(), base.t().strides());
  EXPECT_EQ(store->tensor("row").const_data_ptr<float>(), store->tensor("base").const_data_ptr<float>() + 15);
}

// Files of torch.save itself (PyTorch 2.11; tests/data/README.md).
TEST(TorchArchive, ReadsWhatPyTorchWrites) {
  const auto nested = test_data("torch_save/nested.pt");
  const auto generator = WeightStore::open(nested, "generator");
  EXPECT_THAT(generator->names(), ::testing::ElementsAre("0.bias", "0.weight", "1.bias", "1.num_batches_tracked",
                                                         "1.running_mean", "1.running_var", "1.weight"));
  EXPECT_TENSORS_IDENTICAL(generator->tensor("0.weight"), at::arange(6, at::kBFloat16).reshape({3, 2}));
  EXPECT_EQ(generator->tensor("1.num_batches_tracked").item<int64_t>(), 1);
  const auto views = WeightStore::open(nested, "views");
  const at::Tensor base = at::arange(12, at::kFloat).reshape({3, 4});
  EXPECT_TENSORS_IDENTICAL(views->tensor("base"), base);
  EXPECT_TENSORS_IDENTICAL(views->tensor("transposed"), base.t());
  EXPECT_TENSORS_IDENTICAL(views->tensor("row"), base[1]);
  EXPECT_TENSORS_IDENTICAL(views->tensor("parameter"), base.slice(1, 0, 4, 2));
  EXPECT_THAT(error_text<WeightsError>([] { WeightStore::open(test_data("torch_save/whole_module.pt")); }),
              HasSubstr("state_dict()"));
  EXPECT_THAT(error_text<WeightsError>([] { WeightStore::open(test_data("torch_save/legacy.pt")); }),
              HasSubstr("legacy format"));
}

// --- handmade pickles

std::string text(const std::string& value) {
  const auto size = static_cast<uint32_t>(value.size());
  return "X" + std::string(reinterpret_cast<const char*>(&size), 4) + value;
}
std::string number(int64_t value) { return "\x8a\x08" + std::string(reinterpret_cast<const char*>(&value), 8); }
std::string tuple(const std::vector<int64_t>& values) {
  std::string result = "(";
  for (const int64_t value : values) result += number(value);
  return result + "t";
}
std::string storage(int64_t numel, const std::string& key = "0", const std::string& type = "FloatStorage") {
  return "(" + text("storage") + "ctorch\n" + type + "\n" + text(key) + text("cpu") + number(numel) + "tQ";
}
std::string tensor(const std::string& storage, int64_t offset, const std::string& size, const std::string& stride) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + size + stride +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}
std::string tensor(int64_t offset, const std::vector<int64_t>& size, const std::vector<int64_t>& stride) {
  return tensor(storage(16), offset, tuple(size), tuple(stride));
}
std::string pickle(const std::string& items) { return "\x80\x02}(" + items + "u."; }
std::string repeated(const std::string& part, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += part;
  return all;
}
std::string archive(const std::string& data_pickle) {
  return zip_bytes({{"w/data.pkl", data_pickle}, {"w/data/0", std::string(64, '\0')}, {"w/version", "3\n"}});
}

const std::string kGood = text("w") + tensor(0, {4, 4}, {4, 1});

std::shared_ptr<const WeightStore> open_pickle(const TemporaryFolder& folder, const std::string& data_pickle) {
  write_bytes(folder / "w.pt", archive(data_pickle));
  return WeightStore::open(folder / "w.pt");
}

// Files that Python would run code from are refused, also where the code would be ignored here.
TEST(TorchArchive, RefusesPicklesThatRunCode) {
  const TemporaryFolder folder;
  for (const std::string name :
       {"os\nsystem", "posix\nsystem", "nt\nsystem", "__builtin__\neval", "builtins\nexec", "builtins\n__import__",
        "subprocess\nPopen", "runpy\n_run_code", "importlib\nimport_module", "shutil\nrmtree", "socket\nsocket",
        "os.path\njoin", "torch\nos", "torch.hub\nload", "torch\nload", "io\nopen", "types\nCodeType"}) {
    SCOPED_TRACE(name);
    const std::string place = name.substr(0, name.find('\n')) + "." + name.substr(name.find('\n') + 1);
    for (const std::string& evil : {"c" + name + "\n(" + text("touch x") + "tR", "c" + name + "\n",
                                    "c" + name + "\n)\x81}" + text("a") + number(1) + "sb"}) {
      const auto refusal = error_text<WeightsError>([&] { open_pickle(folder, pickle(text("evil") + evil + kGood)); });
      EXPECT_THAT(refusal, AllOf(HasSubstr("w.pt: its pickle names " + place), HasSubstr("would run code"),
                                 HasSubstr("nothing of the file is used")));
    }
  }
  const std::string attribute = "c__builtin__\ngetattr\n(" + number(1) + text("system") + "tR";
  EXPECT_THAT(error_text<WeightsError>([&] { open_pickle(folder, pickle(text("evil") + attribute + kGood)); }),
              HasSubstr("getattr(..., 'system')"));
}

TEST(TorchArchive, ExecutesNothingFromTheFile) {
  const TemporaryFolder folder;
  const auto witness = (folder / "witness").string();
  for (const std::string call : {"cargparse\nNamespace\n", "cpathlib\nPosixPath\n", "c__builtin__\nset\n"}) {
    const std::string evil = call + "(" + text("touch " + witness) + "tR";
    const std::string object = "ctrainer\nState\n)\x81}" + text("a") + number(1) + "sb";
    const auto store = open_pickle(folder, pickle(text("evil") + evil + text("object") + object + kGood));
    EXPECT_THAT(store->names(), ::testing::ElementsAre("w"));
  }
  EXPECT_FALSE(std::filesystem::exists(witness));
}

// As torch.save writes float8 and the other types that have no storage class: bytes, and a dtype of the tensor's own.
std::string typed_tensor(const std::string& dtype, int64_t offset, const std::vector<int64_t>& size,
                         const std::vector<int64_t>& stride) {
  return "ctorch._utils\n_rebuild_tensor_v3\n((" + text("storage") + "ctorch.storage\nUntypedStorage\n" + text("0") +
         text("cpu") + number(64) + "tQ" + number(offset) + tuple(size) + tuple(stride) + "\x89" +
         "ccollections\nOrderedDict\n)Rctorch\n" + dtype + "\ntR";
}

TEST(TorchArchive, ReadsTensorsThatStateTheirDtype) {
  const TemporaryFolder folder;
  const auto store = open_pickle(
      folder, pickle(text("a") + typed_tensor("float8_e4m3fn", 3, {4, 2}, {2, 1}) + text("b") +
                     typed_tensor("float8_e5m2", 0, {64}, {1}) + text("c") + typed_tensor("bfloat16", 8, {3}, {2}) +
                     text("d") + typed_tensor("uint16", 0, {32}, {1})));
  EXPECT_EQ(store->dtype("a"), at::kFloat8_e4m3fn);
  EXPECT_EQ(store->shape("a"), (std::vector<int64_t>{4, 2}));
  EXPECT_EQ(store->tensor("a").storage_offset(), 3);
  EXPECT_EQ(store->dtype("b"), at::kFloat8_e5m2);
  EXPECT_EQ(store->tensor("c").sizes(), (std::vector<int64_t>{3}));
  EXPECT_EQ(store->dtype("d"), at::kUInt16);
  EXPECT_THAT(error_text<WeightsError>(
                  [&] { open_pickle(folder, pickle(text("a") + typed_tensor("bfloat16", 0, {33}, {1}))); }),
              HasSubstr("exceeds its storage of 32 elements"));
}

TEST(TorchArchive, ReadsParametersWithAttributesAndSubclasses) {
  const TemporaryFolder folder;
  const std::string plain = tensor(0, {2}, {1});
  const std::string with_state = "ctorch._utils\n_rebuild_parameter_with_state\n(" + plain + "\x88}}tR";
  const std::string arguments = "(" + storage(16) + number(1) + tuple({3}) + tuple({1}) + "\x89}t";
  const std::string subclass = "ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n" +
                               std::string("ctorch.nn.parameter\nBuffer\n") + arguments + "}tR";
  const std::string items = text("p") + with_state + text("s") + subclass;
  const auto store = open_pickle(folder, pickle(items));
  EXPECT_THAT(store->names(), ::testing::ElementsAre("p", "s"));
  EXPECT_EQ(store->tensor("s").storage_offset(), 1);
  // The dictionary may be a defaultdict.
  EXPECT_EQ(open_pickle(folder,
                        "\x80\x02"
                        "ccollections\ndefaultdict\n(NtR(" +
                            items + "u.")
                ->names()
                .size(),
            2u);
}

// A tensor that cannot be read is told by name, never left out; in a set that is not asked for it does no harm.
TEST(TorchArchive, TellsTensorsOfKindsThatItDoesNotRead) {
  const TemporaryFolder folder;
  const std::string quantized = "ctorch._utils\n_rebuild_qtensor\n(" + storage(16, "0", "QInt8Storage") + "tR";
  const std::string of_complex = tensor(storage(8, "0", "ComplexFloatStorage"), 0, tuple({1}), tuple({1}));
  const std::string array = "cnumpy._core.multiarray\n_reconstruct\n(NtR";
  const std::string unknown = "ctorchao.dtypes\nwrap\n(" + tensor(0, {2}, {1}) + "tR";
  for (const auto& [item, maker] : std::vector<std::pair<std::string, std::string>>{
           {quantized, "torch._utils._rebuild_qtensor"},
           {of_complex, "torch.ComplexFloatStorage"},
           {array, "numpy._core.multiarray._reconstruct"},
           {unknown, "torchao.dtypes.wrap"},
           {typed_tensor("float4_e2m1fn_x2", 0, {4}, {1}), "the dtype float4_e2m1fn_x2"},
           {"ctorch._utils\n_rebuild_wrapper_subclass\n)R", "torch._utils._rebuild_wrapper_subclass"}}) {
    EXPECT_THAT(error_text<WeightsError>([&] { open_pickle(folder, pickle(kGood + text("odd") + item)); }),
                AllOf(HasSubstr("'odd' (" + maker + ")"), HasSubstr("kinds that are not supported")));
    const std::string two = text("good") + "}(" + kGood + "u" + text("bad") + "}(" + kGood + text("odd") + item + "u";
    write_bytes(folder / "two.pt", archive(pickle(two)));
    EXPECT_THAT(WeightStore::open(folder / "two.pt", "good")->names(), ::testing::ElementsAre("w"));
    EXPECT_THAT(error_text<WeightsError>([&] { WeightStore::open(folder / "two.pt", "bad"); }), HasSubstr("'odd'"));
  }
}

TEST(TorchArchive, SharedObjectsAndCyclesAreRejected) {
  const TemporaryFolder folder;
  // A dictionary that contains itself, beside a tensor.
  const std::string cycle = std::string("\x80\x02}q\x01(") + text("self") + "h\x01" + kGood + "u.";
  EXPECT_THAT(error_text<WeightsError>([&] { open_pickle(folder, cycle); }), HasSubstr("nested too deeply"));
  // Twenty levels of dictionaries that hold the next one a hundred times: 100^20 visits.
  std::string bomb = "}q" + std::string(1, '\0');
  for (char level = 1; level <= 20; ++level) {
    bomb += "}q" + std::string(1, level) + "(";
    for (int i = 0; i < 100; ++i) bomb += text(std::to_string(i)) + "h" + std::string(1, static_cast<char>(level - 1));
    bomb += "u0";
  }
  const std::string visits = "\x80\x02" + bomb + "h\x14.";
  EXPECT_THAT(error_text<WeightsError>([&] { open_pickle(folder, visits); }), HasSubstr("nested too deeply"));
}

// Entries beyond the first 4 GB, as in the text encoder's 11 GB file; the file here is sparse and takes no space.
TEST(TorchArchive, ReadsZip64Archives) {
  const TemporaryFolder folder;
  constexpr uint64_t kFar = (uint64_t{1} << 32) + 64;
  const std::string data_pickle = pickle(kGood);
  const std::string storage_bytes(64, '\x3f');
  const auto bytes_of = [](auto... fields) {
    std::string bytes;
    (bytes.append(reinterpret_cast<const char*>(&fields), sizeof(fields)), ...);
    return bytes;
  };
  constexpr uint32_t kFull = 0xffffffff;
  constexpr uint16_t kZero = 0;
  // A header's fields from the checksum on, all of its sizes in the zip64 field.
  const auto local = [&](const std::string& name) {
    return "PK\x03\x04" + std::string(10, '\0') +
           bytes_of(0u, kFull, kFull, static_cast<uint16_t>(name.size()), kZero) + name;
  };
  const auto central = [&](const std::string& name, uint64_t size, uint64_t offset) {
    return "PK\x01\x02" + std::string(12, '\0') +
           bytes_of(0u, kFull, kFull, static_cast<uint16_t>(name.size()), uint16_t{28}) + std::string(10, '\0') +
           bytes_of(kFull) + name + bytes_of(uint16_t{1}, uint16_t{24}, size, size, offset);
  };
  const std::string directory = central("w/data.pkl", data_pickle.size(), 0) + central("w/data/0", 64, kFar);
  const std::string far = local("w/data/0") + storage_bytes;
  const uint64_t start = kFar + far.size(), size = directory.size(), end = start + size;
  const std::string tail = directory + "PK\x06\x06" + bytes_of(uint64_t{44}) + std::string(28, '\0') +
                           bytes_of(size, start) + "PK\x06\x07" + bytes_of(0u, end, 1u) + "PK\x05\x06" +
                           std::string(8, '\0') + bytes_of(kFull, kFull, kZero);
  {
    std::ofstream stream(folder / "w.pt", std::ios::binary);
    stream << local("w/data.pkl") << data_pickle;
    stream.seekp(kFar);
    stream << far << tail;
  }
  const auto store = WeightStore::open(folder / "w.pt");
  EXPECT_EQ(store->tensor("w")[3][3].item<float>(), std::bit_cast<float>(0x3f3f3f3f));
}

struct Hostile {
  const char* what;
  std::string bytes;
  const char* message;
};

class HostileArchive : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileArchive, IsRefusedWithFileAndReason) {
  const TemporaryFolder folder;
  write_bytes(folder / "hostile.pt", GetParam().bytes);
  const std::string message = error_text<WeightsError>([&] { WeightStore::open(folder / "hostile.pt"); });
  EXPECT_THAT(message, AllOf(HasSubstr("hostile.pt"), HasSubstr(GetParam().message)));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

Hostile bad_pickle(const char* what, const std::string& data_pickle, const char* message) {
  return {what, archive(data_pickle), message};
}
Hostile bad_tensor(const char* what, const std::string& value, const char* message) {
  return bad_pickle(what, pickle(text("w") + value), message);
}
std::string replaced(std::string bytes, const std::string& from, const std::string& to) {
  for (size_t at; (at = bytes.find(from)) != std::string::npos;) bytes.replace(at, from.size(), to);
  return bytes;
}

constexpr int64_t kHuge = INT64_MAX;

INSTANTIATE_TEST_SUITE_P(
    Pickles, HostileArchive,
    ::testing::Values(
        bad_pickle("EmptyPickle", "", "unexpected end"), bad_pickle("OnlyStop", "\x80\x02.", "stack underflow"),
        bad_pickle("NoStop", "\x80\x02}", "unexpected end"), bad_pickle("Protocol4", "\x80\x04}.", "pickle protocol 4"),
        bad_pickle("Protocol0Text", "(lp0\nI1\na.", "opcode"),
        bad_pickle("GlobalWithoutEnd",
                   "\x80\x02"
                   "cos",
                   "unexpected end"),
        bad_pickle("StackUnderflow",
                   "\x80\x02"
                   "00.",
                   "stack underflow"),
        bad_pickle("TupleUnderflow", "\x80\x02N\x87.", "stack underflow"),
        bad_pickle("NoMark", "\x80\x02}u.", "mark is missing"),
        bad_pickle("PopBelowMark", "\x80\x02N(0t.", "stack underflow"),
        bad_pickle("OddItems", "\x80\x02}(Nu.", "key without a value"),
        bad_pickle("SetItemOnNumber", "\x80\x02K\x01NNs.", "not a dictionary"),
        bad_pickle("AppendToNumber", "\x80\x02K\x01Na.", "not a list"),
        bad_pickle("UnknownMemo", "\x80\x02h\x05.", "memo entry 5 is undefined"),
        bad_pickle("HugeMemoIndex", "\x80\x02j\xff\xff\xff\xff.", "memo entry 4294967295 is undefined"),
        bad_pickle("LongString",
                   "\x80\x02X\xff\xff\xff\xff"
                   "a.",
                   "unexpected end"),
        bad_pickle("LongLong",
                   "\x80\x02\x8b\xff\xff\xff\xff"
                   "a.",
                   "unexpected end"),
        bad_pickle("RootIsList", "\x80\x02].", "no dictionary"),
        bad_pickle("RootIsObject",
                   "\x80\x02"
                   "cmodel\nNet\n)\x81.",
                   "state_dict()"),
        bad_pickle("NoTensors", pickle(text("epoch") + number(3)), "holds no tensors"),
        bad_pickle("ReduceWithoutTuple",
                   "\x80\x02"
                   "cmodel\nNet\nNR.",
                   "tuple of arguments"),
        bad_pickle("TwiceTheSameName", pickle(kGood + kGood), "'w' twice"),
        bad_pickle("DeepLists", "\x80\x02" + repeated("]", 1'000'000) + repeated("a", 999'999) + ".", "no dictionary"),
        bad_pickle("DeepTuples", "\x80\x02N" + repeated("\x85", 1'000'000) + ".", "no dictionary"),
        bad_pickle("ManyMemos", "\x80\x02N" + repeated("r\xff\xff\xff\x7f", 1'000'000) + ".", "no dictionary"),
        bad_pickle("TooLong", "\x80\x02" + std::string((16 << 20) + 1, 'N') + ".", "at most 16 MB"),
        bad_pickle("NestedDicts",
                   pickle(text("a") + repeated("}" + text("a"), 50) + tensor(0, {1}, {1}) + repeated("s", 50)),
                   "nested too deeply")),
    [](const auto& info) { return std::string(info.param.what); });

INSTANTIATE_TEST_SUITE_P(
    Tensors, HostileArchive,
    ::testing::Values(
        bad_tensor("BeyondStorage", tensor(0, {17}, {1}), "exceeds its storage"),
        bad_tensor("OffsetBeyondStorage", tensor(16, {1}, {1}), "exceeds its storage"),
        bad_tensor("EmptyBeyondStorage", tensor(17, {0}, {1}), "exceeds its storage"),
        bad_tensor("LastElementBeyond", tensor(0, {4, 4}, {5, 1}), "exceeds its storage"),
        bad_tensor("NegativeOffset", tensor(-1, {4}, {1}), "negative"),
        bad_tensor("NegativeSize", tensor(0, {-4}, {1}), "negative"),
        bad_tensor("NegativeStride", tensor(8, {4}, {-1}), "negative"),
        bad_tensor("HugeSize", tensor(0, {kHuge}, {kHuge}), "size overflows"),
        bad_tensor("HugeProduct", tensor(0, {1L << 40, 1L << 40}, {0, 0}), "size overflows"),
        bad_tensor("ZeroStrideBomb", tensor(0, {1L << 40}, {0}), "exceeds its storage"),
        bad_tensor("HugeEmpty", tensor(0, {0, kHuge, kHuge}, {1, 1, 1}), "size overflows"),
        bad_tensor("RankMismatch", tensor(0, {4}, {1, 1}), "2 strides for 1 dimensions"),
        bad_tensor("RankBomb", tensor(0, std::vector<int64_t>(1000, 1), std::vector<int64_t>(1000, 1)),
                   "not a tuple of at most 16"),
        bad_tensor("SizeIsNone", tensor(storage(16), 0, "N", tuple({1})), "not a tuple of at most 16"),
        bad_tensor("SizeIsNan", tensor(storage(16), 0, std::string("(G\x7f\xf8\0\0\0\0\0\0t", 11), tuple({1})),
                   "not an integer"),
        bad_tensor("SizeIsFloat", tensor(storage(16), 0, std::string("(G\x3f\xf0\0\0\0\0\0\0t", 11), tuple({1})),
                   "not an integer"),
        bad_tensor("SizeIsBigInteger",
                   tensor(storage(16), 0,
                          "(\x8a\x09"
                          "aaaaaaaaat",
                          tuple({1})),
                   "not an integer"),
        bad_tensor("FewArguments", "ctorch._utils\n_rebuild_tensor_v2\n(" + storage(16) + "tR",
                   "fewer than 4 arguments"),
        bad_tensor("MissingStorage", tensor(storage(16, "1"), 0, tuple({1}), tuple({1})), "storage '1' is missing"),
        bad_tensor("StorageOfOtherFolder", tensor(storage(16, "../version"), 0, tuple({1}), tuple({1})), "is missing"),
        bad_tensor("LargerStorage", tensor(storage(17), 0, tuple({1}), tuple({1})), "has 16 elements instead of 17"),
        bad_tensor("NegativeStorage", tensor(storage(-1), 0, tuple({1}), tuple({1})), "instead of -1"),
        bad_tensor("UnnamedStorage",
                   tensor("(" + text("storage") + "ctorch\nFloatStorage\nN" + text("cpu") + number(16) + "tQ", 0,
                          tuple({1}), tuple({1})),
                   "no key")),
    [](const auto& info) { return std::string(info.param.what); });

INSTANTIATE_TEST_SUITE_P(
    Archives, HostileArchive,
    ::testing::Values(
        Hostile{"NoDirectory", "PK\x03\x04" + std::string(100, 'a'), "no directory at its end"},
        Hostile{"TooShort", "PK\x03\x04", "no directory at its end"},
        Hostile{"NoPickle", zip_bytes({{"w/version", "3\n"}}), "without `data.pkl`"},
        Hostile{"Compressed", zip_bytes({{"w/data.pkl", pickle(kGood), 8}}), "is compressed"},
        Hostile{"Encrypted", zip_bytes({{"w/data.pkl", pickle(kGood), 0, 1}}), "is encrypted"},
        Hostile{"TwoPickles", zip_bytes({{"w/data.pkl", pickle(kGood)}, {"w/data.pkl", "x"}}), "two entries"},
        Hostile{"BigEndian",
                zip_bytes({{"w/data.pkl", pickle(kGood)}, {"w/data/0", std::string(64, '\0')}, {"w/byteorder", "big"}}),
                "big-endian"},
        Hostile{"LocalHeaderGone",
                replaced(archive(pickle(kGood)), "PK\x03\x04", "PK\x03\x05").replace(0, 4, "PK\x03\x04"), "no header"},
        Hostile{"DirectoryDamaged", replaced(archive(pickle(kGood)), "PK\x01\x02", "PK\x01\x03"),
                "directory is damaged"}),
    [](const auto& info) { return std::string(info.param.what); });

// Every truncation is refused; every damaged byte of everything but the tensor data is refused or read, never a crash.
TEST(TorchArchive, SurvivesTruncationAndDamageEverywhere) {
  const TemporaryFolder folder;
  const auto path = folder / "w.pt";
  const std::string bytes = archive(pickle(kGood + text("b") + tensor(3, {2}, {7})));
  for (size_t size = 0; size < bytes.size(); ++size) {
    write_bytes(path, bytes.substr(0, size));
    EXPECT_THROW(WeightStore::open(path), WeightsError) << size;
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {0x04, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      write_bytes(path, damaged);
      try {
        const auto store = WeightStore::open(path);
        for (const std::string& name : store->names()) store->tensor(name).clone();
      } catch (const WeightsError&) {
      }
    }
  }
}

// The pickle alone, cut short everywhere, inside an intact archive.
TEST(TorchArchive, SurvivesAPickleCutShortEverywhere) {
  const TemporaryFolder folder;
  const std::string data_pickle = pickle(kGood);
  for (size_t size = 0; size < data_pickle.size(); ++size)
    EXPECT_THROW(open_pickle(folder, data_pickle.substr(0, size)), WeightsError) << size;
}

}  // namespace
}  // namespace flashblock::testing
