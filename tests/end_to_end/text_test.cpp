// `flashblock text`: a published folder and a prompt in, a text out.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "language/byte_pair_tokenizer.h"
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

// The options that decode a case of language_decode.
std::vector<std::string> options_of(const nlohmann::json& what) {
  const std::string rule = what["remasking_strategy"];
  const double threshold = what.value("confidence_threshold", what.value("threshold", 0.9));
  std::vector<std::string> options = {"--max-tokens", std::to_string(what["gen_length"].get<int64_t>())};
  const auto set = [&](const std::string& key, const std::string& value) {
    options.insert(options.end(), {"--set", key + "=" + value});
  };
  set("decoding.block_size", std::to_string(what["block_length"].get<int64_t>()));
  set("decoding.steps", std::to_string(what["denoising_steps"].get<int64_t>()));
  set("decoding.remasking", rule);
  set(rule == "entropy_bounded" ? "decoding.entropy_bound" : "decoding.threshold", std::to_string(threshold));
  const nlohmann::json reuse = what.value("reuse", nlohmann::json());
  options.insert(options.end(), {"--attention", reuse.is_null() ? "exact" : "flashblock"});
  if (reuse.is_null()) return options;
  set("attention.refresh", reuse == "first" ? "first_and_clean_pass" : "decoded_tokens");
  set("attention.reuse_from", "0");  // as published
  if (what["tau"].is_number()) set("attention.tau", std::to_string(what["tau"].get<int64_t>()));
  set("attention.recompute_decoded_rows", what["rows_recomputed"].get<bool>() ? "true" : "false");
  return options;
}

// Passes equal those of the published decode; the last one, a clean pass that decodes nothing any more, is missing.
void expect_passes(const WeightStore& record, const WeightStore& data, const std::string& name, int64_t mask) {
  const auto row = [&](const char* part, int64_t pass) { return data.tensor(name + "." + part)[pass]; };
  const int64_t passes = data.tensor(name + ".block").size(0) - 1;
  EXPECT_FALSE(record.contains("pass." + std::to_string(passes) + ".block"));
  for (int64_t pass = 0; pass < passes; ++pass) {
    SCOPED_TRACE("pass " + std::to_string(pass));
    const auto recorded = [&](const char* part) { return record.tensor("pass." + std::to_string(pass) + "." + part); };
    const at::Tensor ids = recorded("ids"), open = ids == mask;
    const bool clean = row("stores", pass).item<uint8_t>() != 0;
    EXPECT_EQ(recorded("block").item<int64_t>(), row("block", pass).item<int64_t>());
    EXPECT_TENSORS_IDENTICAL(ids, row("ids_in", pass).to(at::kLong));
    EXPECT_TENSORS_IDENTICAL(recorded("transfer"), row("transfer", pass).to(at::kBool));
    EXPECT_TENSORS_IDENTICAL(recorded("clean"), at::full_like(recorded("clean"), clean));
    if (data.contains(name + ".external_computed")) {
      EXPECT_EQ(recorded("external_computed").all().item<bool>(), row("external_computed", pass).item<uint8_t>() != 0);
    }
    if (clean) continue;
    EXPECT_LE((recorded("confidence") - row("confidence", pass)).abs().masked_select(open).max().item<float>(), 2e-5);
    if (data.contains(name + ".argmax")) {
      EXPECT_TENSORS_IDENTICAL(recorded("argmax").masked_select(open),
                               row("argmax", pass).to(at::kLong).masked_select(open));
    }
  }
}

TEST(Text, IsThePublishedDecode) {
  const TemporaryFolder folder;
  const auto data = parity_data("language_decode");
  std::map<std::string, nlohmann::json> configs;
  for (const std::string geometry : {"a", "b"}) {
    configs[geometry] = parity_config(*data, "config." + geometry);
    write_language_folder(folder / geometry, configs[geometry],
                          std::stod(data->metadata().at("head_scale." + geometry)));
  }
  const std::string prompt_file = folder / "prompt.safetensors", record_file = folder / "record.safetensors";
  const nlohmann::json cases = parity_config(*data, "cases");
  for (const auto& [name, what] : cases.items()) {
    SCOPED_TRACE(name);
    const at::Tensor prompt = data->tensor(name + ".prompt").to(at::kLong);
    write_tensor_file(prompt_file, {{"ids", prompt}});
    std::vector<std::string> words = {"text",     "-m",        folder / what["geometry"].get<std::string>(),
                                      "--replay", prompt_file, "--overwrite",
                                      "--record", record_file, "--dtype",
                                      "float32",  "--device",  "cpu"};
    const std::vector<std::string> options = options_of(what);
    words.insert(words.end(), options.begin(), options.end());
    const ProgramRun run = run_program(words);
    ASSERT_EQ(run.status, 0) << run.err;
    const auto record = WeightStore::open(record_file);
    const at::Tensor ids = record->tensor("ids");
    EXPECT_TENSORS_IDENTICAL(ids, data->tensor(name + ".ids").to(at::kLong).narrow(0, 0, ids.size(0)));
    expect_passes(*record, *data, name, configs[what["geometry"]]["mask_token_id"]);
    EXPECT_EQ(run.out.substr(0, run.out.find_first_of(" \n")), std::to_string(ids[prompt.size(0)].item<int64_t>()))
        << "without a tokenizer tokens are printed as numbers";
  }
}

TEST(Text, IsTimedByBench) {
  const TemporaryFolder folder;
  const auto data = parity_data("language_decode");
  write_language_folder(folder / "a", parity_config(*data, "config.a"), 1);
  const std::vector<std::string> words = {
      "bench",   "-m", folder / "a", "--context", "64",     "--rounds",           "1",
      "--batch", "2",  "--dtype",    "float32",   "--json", folder / "bench.json"};
  const ProgramRun run = run_program(words);
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("tokens/s"));
  const nlohmann::json json = read_json(folder / "bench.json");
  EXPECT_EQ(json["cases"][0]["tokens"], 8 * 4 * 2) << "blocks, their tokens, texts";
  EXPECT_EQ(json["cases"][0]["modes"][1]["attention"], "first_and_clean_pass");
  std::vector<std::string> exact = words;
  exact.insert(exact.end(), {"--attention", "exact"});
  EXPECT_EQ(run_program(exact).status, 2);
  EXPECT_THAT(run_program({"bench", "--context", "64"}).err, HasSubstr("are those of a language model"));
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
    std::vector<std::string> all = {"--max-tokens", "12", "--overwrite", "--record", folder_ / name};
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
    const std::string file = folder_ / ("seed" + seed + ".safetensors");
    EXPECT_EQ(text({"Hello", "--max-tokens", "8", "--set", "decoding.top_k=0", "--set", "decoding.temperature=3",
                    "--seed", seed, "--overwrite", "--record", file})
                  .status,
              0);
    return WeightStore::open(file)->tensor("ids").clone();
  };
  const at::Tensor first = sampled("1");
  EXPECT_TENSORS_IDENTICAL(sampled("1"), first);
  EXPECT_FALSE(sampled("2").equal(first));
}

TEST_F(TextWithTokenizer, AModelFileGivesTheSameText) {
  std::ofstream(folder_ / "mine.yaml") << "architecture: sdar\nmodel: SDAR-tiny-b8\n";
  const std::vector<std::string> rest = {"Hello", "--max-tokens", "16", "--device", "cpu", "--dtype", "float32"};
  std::vector<std::string> words = {"text", "-m", folder_ / "mine.yaml"};
  words.insert(words.end(), rest.begin(), rest.end());
  const ProgramRun run = run_program(words);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, text({"Hello", "--max-tokens", "16"}).out);
}

TEST_F(TextWithTokenizer, APromptMayLookLikeAnOption) {
  const std::vector<std::string> record = {"--max-tokens", "8", "--overwrite", "--record",
                                           folder_ / "dash.safetensors"};
  const auto ids = [&](std::vector<std::string> words) {
    words.insert(words.begin(), record.begin(), record.end());
    const ProgramRun run = text(words);
    EXPECT_EQ(run.status, 0) << run.err;
    return WeightStore::open(folder_ / "dash.safetensors")->tensor("ids");
  };
  const BytePairTokenizer tokenizer = BytePairTokenizer::load(model());
  for (const std::string prompt : {"--system", "-m", "[1, 2]", " \"quoted\" ", "{a: b}", "<|im_end|>", "a\nb  "}) {
    const at::Tensor expected = at::tensor(tokenizer.encode(prompt), at::kLong);
    EXPECT_TENSORS_IDENTICAL(ids({"--raw", "--", prompt}).narrow(0, 0, expected.size(0)), expected) << prompt;
  }
}

TEST_F(TextWithTokenizer, WhatCannotBeEndsWithItsStatus) {
  const auto refusal = [&](const std::vector<std::string>& words, int status) {
    const ProgramRun run = text(words);
    EXPECT_EQ(run.status, status) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
    return run.err;
  };
  const std::string replay = folder_ / "replay.safetensors";
  write_tensor_file(replay, {{"ids", at::tensor({1, 2, 151'700}, at::kLong)}});
  // None of them needs weights, so that there are none.
  std::filesystem::remove(model() / "model.safetensors");
  EXPECT_THAT(refusal({}, 2), HasSubstr("no prompt"));
  EXPECT_THAT(refusal({"a", "--replay", replay}, 2), HasSubstr("two prompts"));
  EXPECT_THAT(refusal({"--replay", replay, "--raw"}, 2), HasSubstr("--replay gives the whole prompt"));
  EXPECT_THAT(refusal({"--replay", replay}, 2), HasSubstr("the prompt has the token 151700"));
  EXPECT_THAT(refusal({"--replay", folder_ / "none"}, 3), HasSubstr("none"));
  EXPECT_THAT(refusal({"a", "--set", "decoding.stepz=1"}, 2), HasSubstr("did you mean decoding.steps?"));
  EXPECT_THAT(refusal({"a", "--seed", "x"}, 2), HasSubstr("--seed"));
  EXPECT_THAT(refusal({"a", "--attention", "fast"}, 2), HasSubstr("possible are exact, flashblock"));
  EXPECT_THAT(run_program({"text", "a", "-m", model(), "--device", "tpu"}).err, HasSubstr("device 'tpu' is unknown"));
  EXPECT_THAT(refusal({"a", "--raw", "--system", "S"}, 2), HasSubstr("--raw leaves no place"));
  EXPECT_THAT(refusal({"a", "--max-tokens", "40000"}, 2), HasSubstr("the model was trained for 32768"));
  EXPECT_THAT(refusal({"a", "--stats", folder_ / "nowhere/s.json"}, 5), HasSubstr("nowhere: there is no such folder"));
  EXPECT_THAT(refusal({"a"}, 3), HasSubstr(model().string()));
  std::filesystem::remove(model() / "vocab.json");
  EXPECT_THAT(refusal({"a"}, 3), HasSubstr("has no tokenizer.json"));
  const ProgramRun none = run_program({"text", "a", "-m", folder_ / "nothing"});
  EXPECT_EQ(none.status, 3);
  EXPECT_THAT(none.err, HasSubstr("there is no model"));
}

TEST_F(TextWithTokenizer, AnalysisComparesPoliciesWithExactTexts) {
  std::ofstream(folder_ / "prompts.txt") << "Hello there\n\n";
  const ProgramRun run =
      run_program({"analyze", "text", "Why?", "--prompts", folder_ / "prompts.txt", "-m", model(), "--device", "cpu",
                   "--dtype", "float32", "--max-tokens", "16", "--set", "decoding.steps=2", "--set",
                   "decoding.remasking=sequential", "-o", folder_ / "page.html"});
  ASSERT_EQ(run.status, 0) << run.err;
  const nlohmann::json report = read_json(folder_ / "page.json");
  EXPECT_EQ(report["prompts"], nlohmann::json({"Why?", "Hello there"}));
  EXPECT_EQ(report["exact_texts"].size(), 2u);
  ASSERT_GE(report["policies"].size(), 14u);
  EXPECT_EQ(report["policies"][0]["name"], "noise floor");
  EXPECT_EQ(report["policies"][0]["equal_texts"], 2);
  EXPECT_THAT(read_text(folder_ / "page.html"), HasSubstr("\"divergence_nats\""));
  EXPECT_THAT(run.out, HasSubstr("\ndecoded_tokens "));
  const ProgramRun again = run_program({"analyze", "text", "a", "-m", model(), "-o", folder_ / "page.html"});
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.err, HasSubstr("--overwrite"));
}

}  // namespace
}  // namespace flashblock
