// Groups of processes, here threads with sockets between them.
#include "core/process_group.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/DeviceGuard.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "core/child_process.h"
#include "core/device.h"
#include "core/message_channel.h"
#include "core/nccl_group.h"
#include "core/socket_group.h"
#include "tests/support/cuda.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using ::testing::HasSubstr;

enum class Sockets { kOpenToTheEnd, kClosedWithTheirGroup };

/// Runs `work` as each process of a group, on a thread each.
void run_group(size_t processes, Sockets closed, const std::function<void(std::shared_ptr<SocketGroup>)>& work) {
  std::vector<std::vector<FileDescriptor>> sockets(processes);
  for (auto& of_one : sockets) of_one.resize(processes);
  for (size_t a = 0; a < processes; ++a)
    for (size_t b = a + 1; b < processes; ++b) std::tie(sockets[a][b], sockets[b][a]) = socket_pair();
  std::vector<std::string> names;
  for (size_t rank = 0; rank < processes; ++rank) names.push_back("cpu:" + std::to_string(rank));
  std::vector<std::shared_ptr<SocketGroup>> kept;
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < processes; ++rank) {
    auto group = std::make_shared<SocketGroup>(int64_t(rank), std::move(sockets[rank]), names);
    if (closed == Sockets::kOpenToTheEnd) kept.push_back(group);
    threads.emplace_back([&work, group = std::move(group)]() mutable { work(std::move(group)); });
  }
  for (std::thread& thread : threads) thread.join();
}

/// What process a sends to b: of other sizes for each pair, one larger than the buffers of a socket, one empty.
at::Tensor message(int64_t a, int64_t b) {
  const int64_t count = a == 1 && b == 2 ? 0 : (a + 1) * (b == 0 ? 1 << 20 : 100);
  return at::arange(count, at::kFloat) + double(10 * a + b);
}

TEST(ProcessGroup, ExchangesAllAtOnce) {
  run_group(3, Sockets::kOpenToTheEnd, [](const std::shared_ptr<SocketGroup>& group) {
    for (int round = 0; round < 3; ++round) {
      std::vector<Transfer> sends, receives;
      for (int64_t other = 0; other < 3; ++other) {
        for (int twice = 0; twice < 2; ++twice) {
          sends.push_back({other, message(group->rank(), other) + double(twice)});
          receives.push_back({other, at::empty_like(message(other, group->rank()))});
        }
      }
      group->exchange(sends, receives);
      for (size_t i = 0; i < receives.size(); ++i)
        EXPECT_TENSORS_IDENTICAL(receives[i].tensor, message(receives[i].rank, group->rank()) + double(i % 2));
    }
    int64_t bytes = 0;
    for (int64_t other = 0; other < 3; ++other)
      if (other != group->rank()) bytes += 3 * 2 * int64_t(message(group->rank(), other).nbytes());
    EXPECT_EQ(group->bytes_sent(), bytes);
  });
}

TEST(ProcessGroup, SumsToTheSameBits) {
  std::vector<at::Tensor> sums(4);
  run_group(4, Sockets::kOpenToTheEnd, [&](const std::shared_ptr<SocketGroup>& group) {
    const at::Tensor own = at::arange(7, at::kFloat) / double(3 + group->rank());
    sums[size_t(group->rank())] = group->sum(own);
  });
  at::Tensor expected = at::zeros({7});
  for (int rank = 0; rank < 4; ++rank) expected += at::arange(7, at::kFloat) / double(3 + rank);
  EXPECT_TENSORS_CLOSE(sums[0], expected, 1e-6, 1e-6);
  for (const at::Tensor& sum : sums) EXPECT_TENSORS_IDENTICAL(sum, sums[0]);
}

TEST(ProcessGroup, NamesAProcessThatHasEnded) {
  run_group(3, Sockets::kClosedWithTheirGroup, [](std::shared_ptr<SocketGroup> group) {
    if (group->rank() == 2) return group.reset();  // its sockets are closed
    const at::Tensor own = at::zeros({4});
    try {
      while (true) group->sum(own);
    } catch (const ProcessLost& lost) {
      // The other one that is left ends, too, so that either may be noticed.
      EXPECT_THAT(lost.what(), HasSubstr("the process on cpu:" + std::to_string(lost.rank()) + " has ended"));
      EXPECT_NE(lost.rank(), group->rank());
    }
  });
}

TEST(MessageChannel, CarriesTextAndTensors) {
  auto [a, b] = socket_pair();
  MessageChannel left(std::move(a));
  auto right = std::make_unique<MessageChannel>(std::move(b));
  const at::Tensor sent = at::arange(6, at::kBFloat16).view({2, 3}).t();
  EXPECT_TRUE(left.send({.text = "first", .tensor = sent}));
  EXPECT_TRUE(left.send({.text = ""}));
  auto received = right->receive();
  ASSERT_TRUE(received);
  EXPECT_EQ(received->text, "first");
  EXPECT_TENSORS_IDENTICAL(received->tensor, sent);
  received = right->receive();
  ASSERT_TRUE(received);
  EXPECT_FALSE(received->tensor.defined());
  right.reset();
  EXPECT_FALSE(left.receive());
  EXPECT_FALSE(left.send({.text = "nobody"}));
}

/// A test that two processes run together, on two GPUs: the other one is this program, started again for that test.
void run_on_two_gpus(const std::function<void(int64_t rank, const std::shared_ptr<ProcessGroup>&)>& work) {
  constexpr const char* kName = "FLASHBLOCK_TEST_GROUP";
  const auto run_as = [&](int64_t rank, const std::string& name) {
    const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(rank));
    const c10::DeviceGuard guard(device);
    work(rank, make_nccl_group(name, rank, {"cuda:0", "cuda:1"}, device));
  };
  if (const char* name = std::getenv(kName)) return run_as(1, name);
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string name = new_nccl_group_name();
  ChildProcess other(
      {.words = {"core_tests", std::string("--gtest_filter=") + test->test_suite_name() + "." + test->name()},
       .variables = {std::string(kName) + "=" + name}});
  run_as(0, name);
  EXPECT_EQ(other.wait(), 0);
}

#define FLASHBLOCK_NEED_TWO_GPUS()                         \
  FLASHBLOCK_NEED_CUDA();                                  \
  if (!has_nccl()) GTEST_SKIP() << "a build without NCCL"; \
  if (gpu_count() < 2) GTEST_SKIP() << "one GPU"

TEST(NcclGroup, CudaTwoGpusExchange) {
  FLASHBLOCK_NEED_TWO_GPUS();
  run_on_two_gpus([](int64_t rank, const std::shared_ptr<ProcessGroup>& group) {
    const at::TensorOptions on_gpu = at::TensorOptions(at::kFloat).device(at::kCUDA, static_cast<int8_t>(rank));
    const int64_t other = 1 - rank;
    const at::Tensor received = at::empty(message(other, rank).sizes(), on_gpu);
    group->exchange({{other, message(rank, other).to(on_gpu)}}, {{other, received}});
    EXPECT_TENSORS_IDENTICAL(received.cpu(), message(other, rank));
    const at::Tensor own = at::arange(5, on_gpu) + rank;
    EXPECT_TENSORS_IDENTICAL(group->sum(own).cpu(), 2 * at::arange(5, at::kFloat) + 1);
    // In rooms of both rounds, with another exchange between them; the last size has no room.
    for (const int64_t count : {1 << 20, 7, 1 << 10, 1 << 21, 1 << 23, 1 << 26}) {
      const at::Tensor sent = group->room_to(other, {count}, on_gpu), place = group->room_from(other, {count}, on_gpu);
      sent.copy_(at::arange(count, at::kFloat));
      sent.add_(double(rank));
      group->exchange({{other, sent}}, {{other, place}});
      EXPECT_TENSORS_IDENTICAL(place.cpu(), at::arange(count, at::kFloat) + double(other));
      if (count == 7) group->sum(own);
    }
    group->check();
  });
}

TEST(NcclGroup, CudaTwoGpusOneOfThemLost) {
  FLASHBLOCK_NEED_TWO_GPUS();
  run_on_two_gpus([](int64_t rank, const std::shared_ptr<ProcessGroup>& group) {
    if (rank == 1) return;  // it ends, and has exchanged nothing
    const at::TensorOptions on_gpu = at::TensorOptions(at::kFloat).device(testing::kGpu);
    const at::Tensor sent = group->room_to(1, {100}, on_gpu), place = group->room_from(1, {100}, on_gpu);
    group->exchange({{1, sent}}, {{1, place}});  // queued: it would wait for ever
    group->lost(1);
    static_cast<void>(place.cpu());
    EXPECT_THROW(group->check(), ProcessLost);
    EXPECT_THROW(group->exchange({{1, sent}}, {{1, place}}), ProcessLost);
  });
}

TEST(NcclGroup, CudaConnectsAndAborts) {
  FLASHBLOCK_NEED_CUDA();
  if (!has_nccl()) GTEST_SKIP() << "a build without NCCL";
  const auto group = make_nccl_group(new_nccl_group_name(), 0, {"cuda:0"}, testing::kGpu);
  const at::Tensor own = at::arange(5, at::TensorOptions().device(testing::kGpu));
  EXPECT_TENSORS_IDENTICAL(group->sum(own), own);
  group->check();
  group->lost(0);
  EXPECT_THROW(group->check(), ProcessLost);
  EXPECT_THROW(group->sum(own), ProcessLost);
}

}  // namespace
}  // namespace flashblock
