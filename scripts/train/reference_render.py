"""Renders a few frame blocks of the demo model on the CPU in plain PyTorch, float32, with timings, and records every
input and result, so that another implementation can be held against it, in numbers and in speed.

    python3 reference_render.py "a red balloon drifts over snowy hills at dawn" --blocks 6 \\
        --record reference.safetensors

The record holds ids, mask, prompt_embeds, noise, renoise.<block>.<step>, latents and video, as the renderer's --record
does.
"""
import argparse
import json
import os
import time

import torch
from safetensors.torch import load_file, save_file

import umt5
import wan_vae
from rollout import SIGMAS, Rollout
from wan_transformer import WanTransformer, geometry_from_checkpoint, load_state

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "assets", "demo")


def load(model):
    with open(f"{model}/config.json") as file:
        geometry = geometry_from_checkpoint(json.load(file))
    transformer = WanTransformer(geometry)
    transformer.load_state_dict(load_state(model))
    vae = wan_vae.build_from_state_dict(load_file(f"{model}/wan_vae.safetensors"))
    vae.set_stacked(True)
    text = umt5.build_from_state_dict(load_file(f"{model}/umt5.safetensors"))
    return transformer.eval(), vae.eval(), text.eval()


def tokenize(model, prompt, length):
    import sentencepiece
    pieces = sentencepiece.SentencePieceProcessor(model_file=f"{model}/spiece.model").encode(prompt)[:length - 1] + [
        umt5.EOS]
    return torch.tensor([pieces + [umt5.PAD] * (length - len(pieces))])


@torch.no_grad()
def render(model, prompt, blocks, seed):
    """-> record, seconds in the transformer, seconds in the decoder."""
    transformer, vae, text = load(model)
    g = transformer.geometry
    ids = tokenize(model, prompt, g.text_len)
    record = dict(ids=ids, mask=(ids != umt5.PAD).long(), prompt_embeds=text(ids))
    generator = torch.Generator().manual_seed(seed)
    shape = (g.frames_per_block, g.in_dim, 2 * g.height, 2 * g.width)
    record["noise"] = torch.randn(1, blocks * shape[0], *shape[1:], generator=generator)
    rollout, history, seconds = Rollout(transformer, record["prompt_embeds"]), {}, [0.0, 0.0]
    latents, video = [], []
    for block, noise in enumerate(record["noise"].split(shape[0], 1)):
        renoise = [torch.randn(1, *shape, generator=generator) for _ in SIGMAS[1:]]
        record.update({f"renoise.{block}.{step}": r for step, r in enumerate(renoise)})
        clock = [time.perf_counter()]
        start = torch.tensor([shape[0] * block])
        x0 = rollout.denoise(noise, start, renoise=renoise)
        rollout.commit(x0, start)
        clock.append(time.perf_counter())
        latents.append(x0)
        video.append(vae.decode(x0.transpose(1, 2), history).transpose(1, 2))
        clock.append(time.perf_counter())
        seconds = [s + b - a for s, a, b in zip(seconds, clock, clock[1:])]
    record["latents"] = torch.cat(latents, 1)
    record["video"] = (torch.cat(video, 1) * 0.5 + 0.5).clamp(0, 1)
    return record, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt")
    parser.add_argument("--model", default=DEMO)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--record")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    record, (transformer, decoder) = render(options.model, options.prompt, options.blocks, options.seed)
    frames = record["video"].shape[1]
    print(f"{options.blocks} blocks, {frames} frames, {torch.get_num_threads()} threads, float32: transformer "
          f"{transformer:.2f} s "
          f"({1e3 * transformer / options.blocks:.0f} ms a block), decoder {decoder:.2f} s "
          f"({1e3 * decoder / frames:.1f} ms a frame)")
    if options.record:
        record["video"] = record["video"].half()
        save_file({k: v.contiguous() for k, v in record.items()}, options.record,
                  metadata={"prompt": options.prompt, "seed": str(options.seed),
                            "layout": "noise, latents [1,F,16,H,W]; video [1,T,3,8H,8W] in [0,1]"})


if __name__ == "__main__":
    main()
