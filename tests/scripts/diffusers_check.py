"""Folders written by diffusers and transformers themselves, rendered by the program and held against those packages.

usage: diffusers_check.py PROGRAM        (needs torch, diffusers, transformers, safetensors: PyPI)

A small random pipeline is saved with save_pretrained in several shards; the program renders one frame block of it in
one step and records everything. Text embedding, latents and frames must be those of the packages' own classes. Exit
status 77 if the packages are not there.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from diffusers import AutoencoderKLWan, WanTransformer3DModel
    from safetensors.torch import load_file
    from transformers import UMT5Config, UMT5EncoderModel
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 3  # latent frames: one block, which sees itself only, as these classes do
TEXT_DIM = 64


def write_pipeline(folder):
    torch.manual_seed(1)
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=64, in_channels=16, out_channels=16,
        text_dim=TEXT_DIM, freq_dim=256, ffn_dim=192, num_layers=2, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=1024).eval()
    vae = AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
                           temperal_downsample=[False, True, True]).eval()
    text_encoder = UMT5EncoderModel(UMT5Config(
        vocab_size=2400, d_model=TEXT_DIM, d_kv=16, d_ff=96, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu")).eval()
    with torch.no_grad():
        for model in (transformer, vae, text_encoder):
            for name, parameter in model.named_parameters():  # nothing that a wrong name could hide behind
                parameter.add_(torch.randn_like(parameter) * 0.02)
    transformer.save_pretrained(folder / "transformer", max_shard_size="300KB")
    vae.save_pretrained(folder / "vae")
    text_encoder.save_pretrained(folder / "text_encoder", max_shard_size="300KB")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer/spiece.model").write_bytes((ROOT / "assets/demo/spiece.model").read_bytes())
    (folder / "model.yaml").write_text(
        f"diffusers: .\nrecipe: {{frames_per_block: {FRAMES}, steps: [1000], warp_steps: false}}\n"
        "defaults: {size: 64x48, fps: 16, seconds: 0.5}\n")
    return transformer, vae, text_encoder


def compare(what, found, expected, tolerance=2e-4):
    worst = (found.float() - expected.float()).abs().max().item()
    good = found.shape == expected.shape and worst <= tolerance * max(1.0, expected.abs().max().item())
    print(f"{what}: {'same' if good else 'DIFFERENT'}, shape {tuple(found.shape)}, largest difference {worst:.1e}")
    return good


def main(program):
    with tempfile.TemporaryDirectory() as temporary, torch.no_grad():
        folder = Path(temporary)
        transformer, vae, text_encoder = write_pipeline(folder)
        shards = sorted(path.name for path in folder.glob("*/*.safetensors"))
        print(f"{len(shards)} weight files: {', '.join(shards)}")
        subprocess.run([program,
    "render",
    "a red balloon over hills",
    "--model",
    folder,
    "--output",
    folder / "video.mp4",
    "--record",
    folder / "record.safetensors",
    "--attention",
    "exact",
    "--dtype",
    "float32",
    "--device",
    "cpu",
    "--seed",
    "3",
    "--quiet"],
     check=True)
        record = load_file(folder / "record.safetensors")

        mask = record["mask"]
        embedding = text_encoder(input_ids=record["ids"], attention_mask=mask).last_hidden_state
        good = compare("text embedding", record["prompt_embeds"], embedding * mask.unsqueeze(-1))

        noise = record["noise"].transpose(1, 2)  # diffusers: [B, C, F, H, W]
        flow = transformer(noise, torch.tensor([1000.0]), record["prompt_embeds"], return_dict=False)[0]
        latents = noise - flow  # one step from noise alone: sigma is 1
        good &= compare("latents", record["latents"].transpose(1, 2), latents)

        mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
        std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
        frames = vae.decode(record["latents"].transpose(1, 2) * std + mean, return_dict=False)[0]
        frames = (frames / 2 + 0.5).clamp(0, 1).transpose(1, 2)
        good &= compare("frames", record["video"], frames[:, : record["video"].shape[1]], 1e-3)
        return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
