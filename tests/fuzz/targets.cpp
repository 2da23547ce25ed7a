#include "tests/fuzz/targets.h"

#include <ATen/ops/ones.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "batch/jobs_file.h"
#include "core/error.h"
#include "core/html_page.h"
#include "core/mapped_file.h"
#include "core/plain_text.h"
#include "media/orientation.h"
#include "models/checkpoint_info.h"
#include "models/checkpoint_info_text.h"
#include "models/lora.h"
#include "models/model_config.h"
#include "models/text_cleaning.h"
#include "server/connection.h"
#include "server/file_answer.h"
#include "server/form_data.h"
#include "server/request_json.h"
#include "settings/model_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_file_writer.h"
#include "weights/checkpoint_files.h"
#include "weights/gguf_reader.h"
#include "weights/safetensors_reader.h"
#include "weights/tensor_file.h"
#include "weights/torch_archive.h"
#include "weights/weight_store.h"

namespace flashblock::fuzz {
namespace {

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

std::string text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// A file in memory, with a path.
class MemoryFile {
 public:
  explicit MemoryFile(Bytes bytes) : descriptor_(memfd_create("fuzz", 0)) {
    if (descriptor_ < 0 || ::write(descriptor_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      stop("there is no memory for the input");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// Runs a reader that may refuse, in words.
template <typename Reader>
void attempt(const Reader& read) {
  try {
    read();
  } catch (const Error& error) {
    if (std::string(error.what()).empty()) stop("an error without a text");
  }
}

/// Reads every element, as a loader would; the sanitizer sees what lies outside.
void touch(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  const auto* bytes = static_cast<const volatile uint8_t*>(whole.const_data_ptr());
  for (size_t i = 0; i < whole.nbytes(); ++i) (void)bytes[i];
}

void touch(const std::vector<TensorSet>& sets) {
  for (const TensorSet& set : sets)
    for (const auto& [name, tensor] : set.tensors) touch(tensor.values());
}

void write_shards(const std::filesystem::path& folder) {
  write_tensor_file(folder / "w-1.safetensors", {{"a", at::ones({2})}});
  write_tensor_file(folder / "w-2.safetensors", {{"b", at::ones({3})}, {"c", at::ones({1})}});
}

/// Merges an adapter into a model of two modules.
void merge(const std::shared_ptr<const WeightStore>& adapter) {
  static const auto model = WeightStore::from_tensors({{"blocks.0.ffn.0.weight", at::ones({3, 2})},
                                                       {"blocks.0.ffn.0.bias", at::ones({3})},
                                                       {"blocks.0.modulation", at::ones({1, 6, 2})},
                                                       {"patch_embedding.weight", at::ones({3, 2, 1, 2, 2})}});
  const auto merged = with_lora(model, {{adapter, 0.5}});
  for (const std::string& name : merged->names()) touch(merged->tensor(name));
}

}  // namespace

void safetensors(Bytes file) {
  const MemoryFile memory(file);
  attempt([&] {
    for (const auto& [name, tensor] : read_safetensors(MappedFile::open(memory.path())).tensors) touch(tensor.values());
  });
}

void gguf(Bytes file) {
  const MemoryFile memory(file);
  attempt([&] {
    for (const auto& [name, tensor] : read_gguf(MappedFile::open(memory.path())).tensors) touch(tensor.values());
  });
}

void zip(Bytes file) {
  const MemoryFile memory(file);
  attempt([&] { touch(read_torch_archive(MappedFile::open(memory.path()))); });
}

void pickle(Bytes pickle) {
  const std::string archive =
      testing::zip_bytes({{"a/data.pkl", text_of(pickle)}, {"a/data/0", std::string(64, 'x')}, {"a/version", "3\n"}});
  zip({reinterpret_cast<const uint8_t*>(archive.data()), archive.size()});
}

void shard_index(Bytes index) {
  static const testing::TemporaryFolder folder;
  static const bool written = (write_shards(folder.path()), true);
  static_cast<void>(written);
  const std::filesystem::path path = folder / "w.safetensors.index.json";
  testing::write_bytes(path, text_of(index));
  attempt([&] { touch(read_checkpoint(path).sets); });
}

void config_json(Bytes file) {
  attempt([&] { transformer_config_from_json(text_of(file), "config.json").validate(); });
}

void model_yaml(Bytes file) {
  const MemoryFile memory(file);
  attempt([&] { load_model_file(memory.path()); });
}

void lora(Bytes file) {
  const MemoryFile memory(file);
  attempt([&] { merge(WeightStore::open(memory.path())); });
}

void adapter_config(Bytes file) {
  static const testing::TemporaryFolder folder;
  const std::filesystem::path adapter = folder / "adapter_model.safetensors";
  static const bool written = (write_tensor_file(adapter, {{"blocks.0.ffn.0.lora_A.weight", at::ones({1, 2})},
                                                           {"blocks.0.ffn.0.lora_B.weight", at::ones({3, 1})}}),
                               true);
  static_cast<void>(written);
  testing::write_bytes(folder / "adapter_config.json", text_of(file));
  attempt([&] { merge(WeightStore::open(adapter)); });
}

void lora_header(Bytes text) {
  attempt([&] {
    const auto adapter = WeightStore::from_tensors(
        {{"blocks.0.ffn.0.lora_A.weight", at::ones({1, 2})}, {"blocks.0.ffn.0.lora_B.weight", at::ones({3, 1})}},
        "adapter", {{"lora_adapter_metadata", text_of(text)}});
    merge(adapter);
    describe_lora(*adapter);
  });
}

void image_orientation(Bytes file) { orientation_of_image(text_of(file)); }

void info(Bytes file) {
  const MemoryFile memory(file);
  attempt([&] {
    const ModelInfo found = inspect_model(memory.path(), {.size = VideoGeometry{.width = 832, .height = 480}});
    if (describe(found).empty() || to_json(found).dump(2, ' ', false, nlohmann::json::error_handler_t::replace).empty())
      stop("nothing is said of the file");
  });
}

void prompt_text(Bytes prompt) {
  const std::string cleaned = clean_prompt(text_of(prompt));
  if (!cleaned.empty() && (cleaned.front() == ' ' || cleaned.back() == ' ')) stop("white space at an end");
}

void prompt_list(Bytes list) {
  static const testing::TemporaryFolder folder;
  const std::filesystem::path jobs = folder / "jobs.yaml";
  static const bool written = (testing::write_bytes(jobs, R"(
jobs:
  - {name: commas, prompts: list.csv}
  - {name: tabs, prompts: list.tsv, seeds: [1, 2]}
  - {name: lines, prompts: list.txt}
)"),
                               true);
  static_cast<void>(written);
  for (const char* ending : {"csv", "tsv", "txt"})
    testing::write_bytes(folder / (std::string("list.") + ending), text_of(list));
  std::set<std::string> names;
  for (const BatchVideo& video : read_jobs_file(jobs)) {
    if (video.name.empty() || !names.insert(video.name).second) stop("a video without a name of its own");
    if (video.place.empty()) stop("a video without a place");
    if (video.fault && !text_fault(video.fault->message).empty()) stop("a message that is no text");
  }
}

void http_request(Bytes bytes) {
  using std::chrono::milliseconds;
  constexpr RequestLimits kLimits;
  constexpr ConnectionTimes kTimes{.request = milliseconds(100), .idle = milliseconds(100), .write = milliseconds(10)};
  constexpr int kMostRequests = 16;
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) stop("there are no sockets");
  const FileDescriptor client(ends[0]);
  std::atomic<int64_t> sent{0};
  Connection connection(FileDescriptor(ends[1]), kLimits, kTimes, sent);
  (void)::send(client.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(client.get(), SHUT_WR);
  for (int i = 0; i < kMostRequests; ++i) {
    const auto request = connection.receive();
    if (!request) return;
    if (request->body.size() > kLimits.body_bytes) stop("the body is larger than its limit");
    if (request->path.empty() || request->path.front() != '/') stop("the path does not begin with /");
    HttpResponse response;
    send_fixed_text("0123456789", "text/plain", *request, response);
    if (!connection.respond(std::move(response))) return;
  }
}

void request_json(Bytes body) {
  try {
    (void)parse_request_json(text_of(body)).dump();
  } catch (const ApiError& error) {
    if (error.error().status != 400) stop("another status than 400");
  }
}

void form(Bytes body) {
  try {
    (void)parse_form("multipart/form-data; boundary=x", text_of(body));
  } catch (const ApiError& error) {
    if (error.error().status != 400) stop("another status than 400");
  }
}

void plain_text(Bytes bytes) {
  const std::string text = text_of(bytes), line = on_one_line(text);
  if (text_fault(text).empty()) {
    (void)nlohmann::json(text).dump();  // throws for what is not UTF-8
    if (!text_fault(text_beginning(text, text.size() / 2)).empty()) stop("a text cut within a character");
  }
  if (!text_fault(line).empty()) stop("a message that is no text");
  (void)json_line({text});
}

}  // namespace flashblock::fuzz
