// `flashblock text`: a published folder and a prompt in, a text out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/end_to_end/program_run.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/test_data.h"
#include "weights/tensor_file.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;

// A folder as published, with formula weights.
void write_language_folder(const std::filesystem::path& folder, const nlohmann::json& config, double head_scale) {
  std::filesystem::create_directories(folder);
  const auto tensors = language_formula_tensors(config, head_scale);
  write_tensor_file(folder / "model.safetensors", {tensors.begin(), tensors.end()});
  std::ofstream(folder / "config.json") << config.dump();
}

TEST(Text, IsThePublishedDecode) {
  const TemporaryFolder folder;
  const auto data = parity_data("language_decode");
  write_language_folder(folder / "model", parity_config(*data, "config.a"),
                        std::stod(data->metadata().at("head_scale.a")));
  for (const auto& [name, settings] : std::map<std::string, std::vector<std::string>>{
           {"a.static2",
            {"decoding.remasking=low_confidence_static", "decoding.steps=2", "decoding.max_tokens=48",
             "attention.mode=exact"}},
           {"a.reuse_decoded_2_rows",
            {"decoding.remasking=low_confidence_static", "decoding.max_tokens=32", "attention.refresh=decoded_tokens",
             "attention.recompute_decoded_rows=true"}}}) {
    write_tensor_file(folder / "prompt.safetensors", {{"ids", data->tensor(name + ".prompt").to(at::kLong)}});
    std::vector<std::string> words = {"text",
                                      "--model",
                                      folder / "model",
                                      "--replay",
                                      folder / "prompt.safetensors",
                                      "--record",
                                      folder / "record.safetensors",
                                      "--dtype",
                                      "float32",
                                      "--device",
                                      "cpu"};
    for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
    const ProgramRun run = run_program(words);
    ASSERT_EQ(run.status, 0) << run.err;
    const auto record = WeightStore::open(folder / "record.safetensors");
    EXPECT_TENSORS_IDENTICAL(record->tensor("ids"), data->tensor(name + ".ids").to(at::kLong));
    const at::Tensor transfers = data->tensor(name + ".transfer"), clean = data->tensor(name + ".stores");
    for (int64_t pass = 0; pass + 1 < transfers.size(0); ++pass) {
      const std::string front = "pass." + std::to_string(pass) + ".";
      EXPECT_TENSORS_IDENTICAL(record->tensor(front + "transfer"), transfers[pass].to(at::kBool));
      EXPECT_TENSORS_IDENTICAL(record->tensor(front + "ids"), data->tensor(name + ".ids_in")[pass].to(at::kLong));
      EXPECT_EQ(record->tensor(front + "clean")[0].item<bool>(), clean[pass].item<uint8_t>() != 0);
      EXPECT_EQ(record->tensor(front + "block")[0].item<int64_t>(),
                data->tensor(name + ".block")[pass].item<int64_t>());
    }
    EXPECT_THAT(
        run.out,
        HasSubstr(std::to_string(record->tensor("ids")[data->tensor(name + ".prompt").size(0)].item<int64_t>())))
        << "without a tokenizer tokens are printed";
  }
}

class TextWithTokenizer : public ::testing::Test {
 protected:
  TextWithTokenizer() {
    write_language_folder(model(),
                          {{"model_type", "sdar"},
                           {"vocab_size", 151'680},
                           {"hidden_size", 16},
                           {"intermediate_size", 32},
                           {"num_hidden_layers", 1},
                           {"num_attention_heads", 2},
                           {"num_key_value_heads", 1},
                           {"head_dim", 16},
                           {"mask_token_id", 151'669},
                           {"eos_token_id", 151'645}},
                          8);
    for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json"})
      std::filesystem::copy_file(test_data("tokenizer") / name, model() / name);
  }

  std::filesystem::path model() const { return folder_ / "SDAR-tiny-b8"; }
  ProgramRun text(std::vector<std::string> words) {
    words.insert(words.begin(), {"text", "-m", model(), "--device", "cpu", "--dtype", "float32"});
    return run_program(words);
  }

  TemporaryFolder folder_;
};

TEST_F(TextWithTokenizer, FollowsThePromptAndIsCounted) {
  const auto record = [&](const std::vector<std::string>& words, const std::string& name) {
    std::vector<std::string> all = {"--max-tokens", "12", "--record", folder_ / name};
    all.insert(all.end(), words.begin(), words.end());
    const ProgramRun run = text(all);
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out.back(), '\n');
    return WeightStore::open(folder_ / name)->tensor("ids");
  };
  const at::Tensor chat = record({"Hello", "--seed", "5", "--stats", folder_ / "stats.json"}, "chat.safetensors");
  // <|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n
  EXPECT_TENSORS_IDENTICAL(chat.narrow(0, 0, 9),
                           at::tensor({151644, 872, 198, 9707, 151645, 198, 151644, 77091, 198}, at::kLong));
  EXPECT_EQ(chat.size(0), 24) << "whole blocks of the size in the folder's name";
  const nlohmann::json stats = read_json(folder_ / "stats.json");
  EXPECT_EQ(stats["prompt_tokens"], 9);
  EXPECT_EQ(stats["seed"], 5);
  EXPECT_EQ(stats["end"], "length");
  EXPECT_EQ(stats["tokens"], 12);
  EXPECT_GE(stats["passes"], 2);
  const at::Tensor raw = record({"--raw", "Hello"}, "raw.safetensors");
  EXPECT_EQ(raw[0].item<int64_t>(), 9707);
  const at::Tensor system = record({"Hello", "--system", "S"}, "system.safetensors");
  EXPECT_EQ(system[1].item<int64_t>(), 8948);
}

TEST_F(TextWithTokenizer, SampledTextsDependOnTheSeed) {
  const auto sampled = [&](const std::string& seed) {
    return text({"Hello", "--max-tokens", "16", "--set", "decoding.top_k=0", "--set", "decoding.temperature=3",
                 "--seed", seed})
        .out;
  };
  EXPECT_EQ(sampled("1"), sampled("1"));
  EXPECT_NE(sampled("1"), sampled("2"));
}

TEST_F(TextWithTokenizer, WhatCannotBeEndsWithItsStatus) {
  EXPECT_EQ(text({}).status, 2);
  EXPECT_THAT(text({}).err, HasSubstr("no prompt"));
  EXPECT_THAT(text({"a", "--set", "decoding.stepz=1"}).err, HasSubstr("did you mean decoding.steps?"));
  EXPECT_THAT(text({"a", "--raw", "--system", "S"}).err, HasSubstr("--raw leaves no place"));
  EXPECT_THAT(text({"a", "--max-tokens", "40000"}).err, HasSubstr("the model was trained for 32768"));
  EXPECT_THAT(run_program({"text", "a", "-m", folder_ / "nothing"}).err, HasSubstr("there is no model"));
  EXPECT_EQ(run_program({"text", "a", "-m", folder_ / "nothing"}).status, 3);
}

}  // namespace
}  // namespace flashblock
