// Which failures of a render pass, and what clients are told.
#include "server/render_failure.h"

#include <gtest/gtest.h>

namespace flashblock {
namespace {

RenderFailure judge(ExitStatus status, const std::string& message, DiskState disk = DiskState::kFine,
                    int64_t attempts = 100) {
  const RenderFailure failure = judge_failure({.status = status, .message = message}, attempts, disk);
  for (const char* secret : {"/", "--", "srv"}) {
    EXPECT_EQ(failure.reason.message.find(secret), std::string::npos) << failure.reason.message;
  }
  return failure;
}

TEST(RenderFailure, OfDiskDeviceAndMemoryPasses) {
  const RenderFailure full = judge(ExitStatus::kMedia, "/srv/a: writing failed", DiskState::kFull);
  EXPECT_TRUE(full.passes);
  EXPECT_EQ(full.reason.code, "disk_full");
  for (const char* words :
       {"/srv/a: writing failed: the disk is full; free some space or choose another folder",
        "cannot write /srv/a: No space left on device", "the disk of /srv has 3 MiB free, this video may need 5 MiB"}) {
    EXPECT_EQ(judge(ExitStatus::kMedia, words).reason.code, "disk_full") << words;
  }
  EXPECT_EQ(judge(ExitStatus::kMedia, "", DiskState::kUnwritable).reason.code, "disk_error");
  EXPECT_TRUE(judge(ExitStatus::kMedia, "", DiskState::kUnwritable).passes) << "however often it was tried";
  const RenderFailure device = judge(ExitStatus::kDevice, "the GPU failed: CUDA error");
  EXPECT_TRUE(device.passes && !device.of_memory);
  EXPECT_EQ(device.reason.code, "device_error");
  const RenderFailure memory = judge(ExitStatus::kDevice, "out of memory: the system has no more");
  EXPECT_TRUE(memory.passes && memory.of_memory);
  EXPECT_TRUE(judge(ExitStatus::kDevice, "on cuda:1: out of memory: CUDA").of_memory);
  EXPECT_EQ(memory.reason.code, "out_of_memory");
}

TEST(RenderFailure, OfTheEncoderIsTriedAgainAndOthersAreNot) {
  EXPECT_TRUE(judge(ExitStatus::kMedia, "the encoder failed", DiskState::kFine, 1).passes);
  EXPECT_TRUE(judge(ExitStatus::kMedia, "the encoder failed", DiskState::kFine, 2).passes);
  EXPECT_FALSE(judge(ExitStatus::kMedia, "the encoder failed", DiskState::kFine, 3).passes);
  EXPECT_FALSE(judge(ExitStatus::kInternal, "internal fault", DiskState::kFull, 1).passes);
  EXPECT_EQ(judge(ExitStatus::kWeights, "/srv/model is damaged", DiskState::kFine, 1).reason.code, "model_error");
  EXPECT_EQ(judge(ExitStatus::kConfig, "--size", DiskState::kFine, 1).reason.code, "invalid_request");
}

}  // namespace
}  // namespace flashblock
