// The next sentence of a video, from another thread.
#include "pipeline/live_prompts.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <future>
#include <stdexcept>

#include "pipeline/live_prompt_encoder.h"

namespace flashblock {
namespace {

/// An encoder that tells which texts it has encoded; it waits for `let_go` before it returns.
struct Encoding {
  std::promise<void> let_go;
  std::promise<int> threads;
  EncodedPrompt operator()(const std::string& text) {
    threads.set_value(at::get_num_threads());
    let_go.get_future().wait();
    if (text == "bad") throw std::runtime_error("cannot say that");
    return {.embedding = at::full({1, 1, 1}, static_cast<double>(text.size()))};
  }
};

/// Asks for block after block from `block` on until a prompt comes, as a render of very short blocks would.
LivePrompt next_prompt(LivePromptEncoder& encoder, int64_t block) {
  for (;; ++block) {
    if (const auto prompt = encoder.at_block(block)) return *prompt;
    std::this_thread::yield();
  }
}

TEST(LivePrompts, TellWhatWaitsAndWhatWasTaken) {
  LivePrompts prompts;
  EXPECT_FALSE(prompts.state().waiting);
  prompts.change_to("rain");
  prompts.change_to("snow");
  EXPECT_EQ(prompts.state().waiting, "snow");
  const auto request = prompts.next(0, {});
  EXPECT_EQ(request->text, "snow");
  EXPECT_TRUE(prompts.take(*request, 4));
  EXPECT_FALSE(prompts.take(*request, 5)) << "once";
  const LivePromptState state = prompts.state();
  EXPECT_FALSE(state.waiting);
  ASSERT_EQ(state.taken.size(), 1u);
  EXPECT_EQ(state.taken[0].block, 4);
  EXPECT_EQ(state.taken[0].text, "snow");
}

TEST(LivePrompts, ReplacedRequestIsNeitherTakenNorRefused) {
  LivePrompts prompts;
  prompts.change_to("rain");
  const auto replaced = prompts.next(0, {});
  prompts.change_to("snow");
  EXPECT_FALSE(prompts.take(*replaced, 1));
  prompts.refuse(*replaced, "no");
  EXPECT_EQ(prompts.state().fault, "");
  EXPECT_EQ(prompts.state().waiting, "snow");
}

TEST(LivePrompts, WaitingEndsWhenAStopIsRequested) {
  LivePrompts prompts;
  std::stop_source stop;
  auto waiting = std::async(std::launch::async, [&] { return prompts.next(0, stop.get_token()); });
  stop.request_stop();
  EXPECT_FALSE(waiting.get());
}

TEST(LivePromptEncoder, NeverMakesTheRenderWait) {
  const auto prompts = std::make_shared<LivePrompts>();
  Encoding encoding;
  std::vector<TakenPrompt> taken;
  LivePromptEncoder encoder(
      prompts, std::ref(encoding), [&](const TakenPrompt& prompt) { taken.push_back(prompt); },
      /*threads=*/1);
  prompts->change_to("night");
  EXPECT_EQ(encoding.threads.get_future().get(), 1) << "of the thread that encodes";
  EXPECT_FALSE(encoder.at_block(3)) << "it is still being encoded";
  encoding.let_go.set_value();
  const LivePrompt prompt = next_prompt(encoder, 4);
  EXPECT_EQ(prompt.encoded.embedding.item<double>(), 5);
  EXPECT_EQ(prompt.text, "night");
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].block, prompt.encoded.first_block);
  EXPECT_EQ(taken[0].text, "night");
  EXPECT_FALSE(encoder.at_block(prompt.encoded.first_block + 1));
}

TEST(LivePromptEncoder, FaultRefusesThePromptAndTheVideoGoesOn) {
  const auto prompts = std::make_shared<LivePrompts>();
  Encoding encoding;
  encoding.let_go.set_value();
  {
    LivePromptEncoder encoder(
        prompts, std::ref(encoding), [](const TakenPrompt&) {}, 1);
    prompts->change_to("bad");
    encoding.threads.get_future().wait();
    EXPECT_FALSE(encoder.at_block(1));
  }
  EXPECT_EQ(prompts->state().fault, "cannot say that");
  EXPECT_FALSE(prompts->state().waiting);
}

TEST(LivePromptEncoder, PutsTheThreadCountBack) {
  const int before = at::get_num_threads();
  { LivePromptEncoder encoder(std::make_shared<LivePrompts>(), {}, {}, before + 1); }
  int after = 0;
  std::thread([&] { after = at::get_num_threads(); }).join();
  EXPECT_EQ(after, before) << "for threads that come later, too";
}

}  // namespace
}  // namespace flashblock
