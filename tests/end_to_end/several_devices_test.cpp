// `--device cpu:0,1`: one video computed by several processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/device.h"
#include "tests/end_to_end/unfinished_video.h"
#include "tests/support/cuda.h"
#include "tests/support/tensor_matchers.h"
#include "tests/support/test_data.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

class SeveralDevices : public UnfinishedVideo {
 protected:
  /// Of the small model, unless `more` names another.
  Words words(const std::string& name, const Words& more) const {
    Words all = {"render", "a red hill", "--output", video(name), "--seed", "7", "--dtype", "float32", "--quiet"};
    if (std::find(more.begin(), more.end(), "--model") == more.end()) all.insert(all.end(), {"--model", model()});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// A run of the program as an executable file, which starts further processes of the same kind.
  struct Finished {
    int status;
    std::string err;
  };
  Finished start(const std::string& name, const Words& more) const {
    StartedProgram program(words(name, more), folder_ / "errors");
    const int status = program.wait();
    return {status, read_text(folder_ / "errors")};
  }
};

TEST_F(SeveralDevices, TwoAndFourProcessesGiveTheLatentsOfOne) {
  const auto recording = [&](const std::string& name) { return folder_ / (name + ".safetensors"); };
  const auto with = [&](const std::string& name, const std::string& device) {
    return Words{"--model",  test_data("../../assets/demo/model.yaml"),
                 "--size",   "48x32",
                 "--set",    "frames=33",
                 "--record", recording(name),
                 "--device", device};
  };
  Finished run = start("one", with("one", "cpu"));
  ASSERT_EQ(run.status, 0) << run.err;
  const at::Tensor latents = WeightStore::open(recording("one"))->tensor("latents");
  for (const std::string device : {"cpu:0,1", "cpu:0,1,2,3"}) {
    run = start(device, with(device, device));
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_TENSORS_NEAR_IN_NORM(WeightStore::open(recording(device))->tensor("latents"), latents, 1e-5);
    EXPECT_EQ(run.err, "");
  }
}

TEST_F(SeveralDevices, AKilledProcessEndsTheRenderAndResumeCompletesIt) {
  const Words two = {"--device", "cpu:0,1", "--seconds", "20"};
  {
    StartedProgram program(words("cut", two), folder_ / "errors");
    wait_for(parts("cut") / segment(1));
    const std::vector<pid_t> children = children_of(program.process());
    ASSERT_EQ(children.size(), 1U);
    kill(children.front(), SIGKILL);
    EXPECT_EQ(program.wait(), 4);
  }
  const std::string error = read_text(folder_ / "errors");
  EXPECT_THAT(error, HasSubstr("error: the process of cpu:1 was killed by signal 9"));
  EXPECT_THAT(error, HasSubstr("the finished frame blocks are kept, resume with: "));
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;

  const Finished other = start("cut", {"--device", "cpu", "--seconds", "20", "--resume"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("processes: 2 there, nothing here"));
  ASSERT_EQ(start("whole", two).status, 0);
  const Finished resumed = start("cut", {"--device", "cpu:0,1", "--seconds", "20", "--resume"});
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  expect_same("cut", "whole");
}

TEST_F(SeveralDevices, AnInterruptedVideoIsResumed) {
  const Words two = {"--set", "device=cpu", "--set", "devices_per_video=2", "--seconds", "20"};
  {
    StartedProgram program(words("cut", two), folder_ / "errors");
    wait_for(parts("cut") / segment(0));
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(), 143);
  }
  ASSERT_EQ(start("whole", two).status, 0);
  Words resume = two;
  resume.push_back("--resume");
  ASSERT_EQ(start("cut", resume).status, 0);
  expect_same("cut", "whole");
}

TEST_F(SeveralDevices, ADryRunNamesTheMemoryOfEach) {
  const auto dry = [&](const Words& more) {
    Words all = words("video", more);
    all.push_back("--dry-run");
    const ProgramRun run = run_program(all);
    EXPECT_EQ(run.status, 0) << run.err;
    return run.out;
  };
  const auto megabytes_of = [](const std::string& text, const std::string& part) {
    const size_t at = text.find(part + ": ");
    EXPECT_NE(at, text.npos) << part << " in " << text;
    return at == text.npos ? 0 : std::stod(text.substr(at + part.size() + 2));
  };
  const std::string one = dry({"--device", "cpu"}), two = dry({"--device", "cpu:0,1"});
  EXPECT_THAT(one, Not(HasSubstr("cpu:0")));
  EXPECT_THAT(two, HasSubstr("the program, 2 processes: "));
  for (const std::string process : {"cpu:0, ", "cpu:1, "}) {
    EXPECT_EQ(megabytes_of(two, process + "weights of the transformer"),
              megabytes_of(one, "weights of the transformer"));
    EXPECT_THAT(two, HasSubstr(process + "exchanged with the others: "));
  }
  EXPECT_THAT(two, HasSubstr("cpu:0, weights of the decoder: "));
  EXPECT_THAT(two, Not(HasSubstr("cpu:1, weights of the decoder: ")));
}

TEST_F(SeveralDevices, CudaDecoderOnTheProcessor) {
  FLASHBLOCK_NEED_CUDA();
  const auto recorded = [&](const std::string& name, const Words& more) {
    Words all = words(name, {"--device", "cuda", "--record", folder_ / (name + ".safetensors"), "--seconds", "2"});
    all.insert(all.end(), more.begin(), more.end());
    const ProgramRun run = run_program(all);
    EXPECT_EQ(run.status, 0) << run.err;
    return WeightStore::open(folder_ / (name + ".safetensors"));
  };
  const auto together = recorded("together", {}), apart = recorded("apart", {"--decoder-device", "cpu"});
  EXPECT_TENSORS_IDENTICAL(apart->tensor("latents"), together->tensor("latents"));
  EXPECT_TENSORS_CLOSE(apart->tensor("video"), together->tensor("video"), 1e-3, 1e-3);
  const ProgramRun other = run_program(words("apart", {"--device", "cuda", "--seconds", "2", "--resume"}));
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("decoder device: "));
}

TEST_F(SeveralDevices, ErrorsAreOneLine) {
  const auto error_of = [&](const Words& more, int status) {
    const ProgramRun run = run_program(words("video", more));
    EXPECT_EQ(run.status, status) << run.err;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    return run.err;
  };
  EXPECT_THAT(error_of({"--device", "cpu:0,x"}, 2), HasSubstr("device 'cpu:0,x' is unknown"));
  EXPECT_THAT(error_of({"--device", "gpu:0,1"}, 2), HasSubstr("device 'gpu:0,1' is unknown"));
  EXPECT_THAT(error_of({"--decoder-device", "gpu"}, 2), HasSubstr("device 'gpu' is unknown"));
  EXPECT_THAT(error_of({"--decoder-device", "cuda:63"}, 4),
              AllOf(HasSubstr("device 'cuda:63' is not available"), HasSubstr("with --decoder-device cpu"),
                    Not(HasSubstr("--device "))));
  EXPECT_THAT(error_of({"--device", "cpu:0,"}, 2), HasSubstr("is unknown"));
  EXPECT_THAT(error_of({"--device", "cpu:0,1,2"}, 2),
              HasSubstr("3 processes for one video are too many: the model has 2 attention heads"));
  EXPECT_THAT(error_of({"--device", "cpu:0,1", "--set", "devices_per_video=3"}, 2),
              HasSubstr("names 2 devices, devices_per_video 3"));
  if (gpu_count() < 99) {
    EXPECT_THAT(error_of({"--device", "cuda:0,99"}, 4), HasSubstr("is not available"));
  }
  EXPECT_EQ(run_program({"text", "Once", "--device", "cpu:0,1"}).status, 2);
  EXPECT_EQ(run_program({"analyze", "redundancy", "x", "--model", model(), "--device", "cpu:0,1"}).status, 2);
}

}  // namespace
}  // namespace flashblock
