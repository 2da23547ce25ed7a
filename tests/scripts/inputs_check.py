"""Weights, images and videos as public programs write them, rendered by the program and held against the right values.

usage: inputs_check.py PROGRAM [NAME...]        (needs torch, safetensors, Pillow, ffmpeg)

Every check makes its input from the model in the box, renders nine frames and compares recorded latents, or the colours
of the first frame. The inputs are examples; unit tests hold the rules. Exit status 77 if a package is not there.
"""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import torch
    from PIL import Image, ImageStat
    from safetensors.torch import load_file, save_file
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "assets/demo"
PROGRAM = sys.argv[1]
HOME = tempfile.TemporaryDirectory()
OUT = Path(HOME.name)
RECIPE = ("recipe: {frames_per_block: 3, window_frames: 12, sink_frames: 3, timestep_shift: 5.0, "
          "steps: [1000, 750, 500, 250], kv_recache: false}\ndefaults: {size: 64x64, fps: 16, seconds: 0.5}\n")
sys.path.insert(0, str(ROOT / "scripts/train"))
from wan_transformer import load_state  # of a GGUF file, too
BASE = {name: tensor.bfloat16() for name, tensor in load_state(DEMO).items()}
save_file(BASE, OUT / "base.safetensors")
TEXT = load_file(DEMO / "umt5.safetensors")
VAE = load_file(DEMO / "wan_vae.safetensors")

MODULES = {"blocks.0.self_attn.q": "blocks.0.attn1.to_q", "blocks.3.cross_attn.o": "blocks.3.attn2.to_out.0",
           "blocks.5.ffn.0": "blocks.5.ffn.net.0.proj"}
T5 = {"pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias", "attn": "layer.0.SelfAttention",
      "norm1": "layer.0.layer_norm", "norm2": "layer.1.layer_norm", "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
      "ffn.fc1": "layer.1.DenseReluDense.wi_1", "ffn.fc2": "layer.1.DenseReluDense.wo"}


def wave(*shape, seed=1.0, size=0.02):
    """Weights by a formula."""
    count = torch.Size(shape).numel()
    return (torch.sin(torch.arange(count, dtype=torch.float64) * 0.37 * seed + seed) * size).float().reshape(shape)


def model(name, transformer=None, text_encoder=None, vae=None, lora=None, config=DEMO / "config.json"):
    folder = OUT / name
    folder.mkdir(exist_ok=True)
    (folder / "model.yaml").write_text(
        f"name: {name}\narchitecture: wan2.1\n"
        f"transformer: {{file: {transformer or OUT / 'base.safetensors'}, config: {config}}}\n"
        f"text_encoder: {text_encoder or DEMO / 'umt5.safetensors'}\ntokenizer: {DEMO / 'spiece.model'}\n"
        f"vae: {vae or DEMO / 'wan_vae.safetensors'}\n" + (f"lora: [{lora}]\n" if lora else "") + RECIPE)
    return folder


def render(folder, name, *more, frames="9", size="64x64"):
    video = OUT / f"{name}.mp4"
    run = subprocess.run([PROGRAM, "render", "a red balloon drifts over snowy hills at dawn", "-m", folder, "--seed",
                          "1", "--size", size, "--frames", frames, "--dtype", "float32", "--progress", "none",
                          "-o", video, "--overwrite", *map(str, more)], capture_output=True, text=True)
    return run, video


def latents(folder):
    record = OUT / folder.name / "record.safetensors"
    if not record.exists():
        run, _ = render(folder, folder.name, "--record", record)
        if run.returncode != 0:
            raise RuntimeError(f"status {run.returncode}: {run.stderr.strip()}")
    return load_file(record)["latents"]


def same(folder, reference, tolerance=0.0):
    try:
        worst = (latents(folder) - latents(reference)).abs().max().item()
    except RuntimeError as error:
        return False, str(error)
    return worst <= tolerance, f"largest difference {worst:.2g}"


def info(path):
    return subprocess.run([PROGRAM, "info", path], capture_output=True, text=True).stdout


# --- adapters


def adapter(name, spell, down, up, alpha=None, metadata=None, rank=4):
    tensors = {}
    for module in MODULES:
        rows, columns = BASE[module + ".weight"].shape
        tensors[spell(module) + down] = wave(rank, columns, seed=1.3)
        tensors[spell(module) + up] = wave(rows, rank, seed=0.7, size=0.3)
        if alpha is not None:
            tensors[spell(module) + ".alpha"] = torch.tensor(alpha)
    return adapter_file(name, tensors, metadata)


def adapter_file(name, tensors, metadata=None, folder=OUT):
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / f"{name}.safetensors", metadata=metadata)
    return model(name, lora=folder / f"{name}.safetensors")


def flat(name):
    return name.replace(".", "_")


def peft():
    return adapter("peft", lambda m: "diffusion_model." + m, ".lora_A.weight", ".lora_B.weight")


def header(**config):
    return {"format": "pt", "lora_adapter_metadata": json.dumps({f"transformer.{k}": v for k, v in config.items()})}


def check_lora_names():
    for prefix in ("lora_unet_", "lora_unet__", "lora_transformer_", "lycoris_"):
        for number, spell in enumerate((lambda m: m, lambda m: MODULES[m])):
            name = f"{prefix}{number}"
            yield name, same(adapter(name, lambda m: prefix + flat(spell(m)), ".lora_down.weight", ".lora_up.weight",
                                     alpha=4.0), peft())


def check_lora_differences():
    names = ("blocks.0.modulation", "head.modulation")
    changes = {name: wave(*BASE[name].shape, size=0.3) for name in names}
    sums = {name: (BASE[name].float() + change).to(BASE[name].dtype) for name, change in changes.items()}
    save_file(BASE | sums, OUT / "changed.safetensors")
    spelled = {"diffusion_model." + name.replace("modulation", "diff_m"): change for name, change in changes.items()}
    found = adapter_file("diff_m", spelled)
    yield "diff_m", same(found, model("changed", transformer=OUT / "changed.safetensors"))


def check_lora_strength():
    def diffusers(module):
        return "transformer." + MODULES[module]
    eight = adapter("eight", lambda m: "diffusion_model." + m, ".lora_A.weight", ".lora_B.weight", alpha=8.0)
    stated = adapter("stated", diffusers, ".lora_A.weight", ".lora_B.weight", metadata=header(r=4, lora_alpha=8))
    yield "header", same(stated, eight)
    root = adapter("root", diffusers, ".lora_A.weight", ".lora_B.weight",
                   metadata=header(r=4, lora_alpha=4, use_rslora=True))
    yield "rslora", same(root, eight, 1e-6)
    pattern = adapter("pattern", diffusers, ".lora_A.weight", ".lora_B.weight",
                      metadata=header(r=4, lora_alpha=1, alpha_pattern={"to_q": 8, "to_out.0": 8, "net.0.proj": 8}))
    yield "alpha_pattern", same(pattern, eight)
    text = info(OUT / "stated.safetensors")
    yield "info", ("rank 4, alpha 8 (from the header's lora_adapter_metadata), strength 2" in text, text.strip()[-160:])
    peft()
    loras = OUT / "loras"
    loras.mkdir()
    (loras / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 64}))
    for name in ("style", "adapter_model"):
        (loras / f"{name}.safetensors").write_bytes((OUT / "peft.safetensors").read_bytes())
    yield "stray configuration", same(model("stray", lora=loras / "style.safetensors"), OUT / "peft")
    own = adapter("own64", lambda m: "diffusion_model." + m, ".lora_A.weight", ".lora_B.weight", alpha=64.0)
    yield "own configuration", same(model("own", lora=loras / "adapter_model.safetensors"), own)


# --- checkpoints


def t5_name(name):
    if name.startswith("token_embedding"):
        return name.replace("token_embedding", "shared")
    if name.startswith("norm"):
        return "encoder.final_layer_norm.weight"
    _, layer, rest = name.split(".", 2)
    return next(f"encoder.block.{layer}.{theirs}{rest[len(ours):]}" for ours, theirs in T5.items()
                if rest.startswith(ours))


def saved(name, tensors):
    path = OUT / name
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)
    return path


def check_checkpoints():
    base = model("base")
    text = {t5_name(name): tensor for name, tensor in TEXT.items()}
    spiece = torch.frombuffer(bytearray((DEMO / "spiece.model").read_bytes()), dtype=torch.uint8)
    with_tokenizer = saved("t5.safetensors", text | {"spiece_model": spiece})
    yield "tokenizer inside", same(model("t5", text_encoder=with_tokenizer), base)
    yield "told", ("passed over, no weights: spiece_model" in info(with_tokenizer), "")
    whole = text | {"decoder.block.0.layer.0.SelfAttention.q.weight": spiece.float(), "lm_head.weight": spiece.float()}
    yield "decoder half", same(model("t5_whole", text_encoder=saved("t5_whole.pt", whole)), base)
    everything = saved("all.safetensors", {f"model.diffusion_model.{k}": v for k, v in BASE.items()}
                       | {f"text_encoders.umt5xxl.transformer.{k}": v for k, v in text.items()}
                       | {f"vae.{k}": v for k, v in VAE.items()})
    yield "all in one", same(model("all", transformer=everything, text_encoder=everything, vae=everything), base)
    listed = info(everything)
    yield "all in one, listed", (all(k in listed for k in ("Wan video transformer", "UMT5", "Wan VAE")), listed)
    nested = saved("nested.pt", {"transformer": BASE, "text": text, "vae": VAE, "step": 3})
    yield "all in one dictionary", same(model("nested", transformer=nested, text_encoder=nested, vae=nested), base)
    matrices = {n for n, t in BASE.items() if t.dim() == 2 and n.startswith("blocks.") and "norm" not in n}
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        name = str(dtype)[6:]
        small = {n: t.to(dtype) if n in matrices else t for n, t in BASE.items()}
        values = saved(name + ".safetensors", {n: t.float() for n, t in small.items()})
        reference = model(name + "_ref", transformer=values)
        yield name, same(model(name, transformer=saved(name + ".pt", small)), reference)
    odd = saved("odd.pt", BASE | {"extra": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)})
    run, _ = render(model("odd", transformer=odd), "odd")
    told = "'extra' (torch._utils._rebuild_qtensor)" in run.stderr
    yield "quantized tensor", (run.returncode == 3 and told, run.stderr)


def check_folders():
    names = sorted(BASE)
    two = OUT / "two"
    two.mkdir()
    safetensors, torch_files = {}, {}
    for number, part in enumerate((names[:len(names) // 2], names[len(names) // 2:])):
        tensors = {name: BASE[name] for name in part}
        save_file(tensors, two / f"model-{number}.safetensors")
        torch.save({name: tensor + 1 for name, tensor in tensors.items()}, two / f"pytorch_model-{number}.bin")
        safetensors |= {name: f"model-{number}.safetensors" for name in part}
        torch_files |= {name: f"pytorch_model-{number}.bin" for name in part}
    for name, index in (("model.safetensors", safetensors), ("pytorch_model.bin", torch_files)):
        (two / f"{name}.index.json").write_text(json.dumps({"weight_map": index}))
    yield "two indexes", same(model("folders", transformer=two), model("base"))
    plain = OUT / "plain"
    plain.mkdir()
    save_file(BASE, plain / "diffusion_pytorch_model.safetensors")
    save_file({name: tensor + 1 for name, tensor in BASE.items()}, plain / "diffusion_pytorch_model.fp16.safetensors")
    torch.save({"x": 1}, plain / "training_args.bin")
    yield "variants", same(model("variants", transformer=plain), OUT / "base")


def check_heads():
    text = info(DEMO)
    yield "heads", ("heads 5" in text, text)


# --- images and videos


def quadrants():
    image = Image.new("RGB", (256, 144))
    for i, color in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))):
        x, y = i % 2 * 128, i // 2 * 72
        image.paste(color, (x, y, x + 128, y + 72))
    return image


def letters(video):
    """The middles of the four quarters of the first frame."""
    command = ["ffmpeg", "-v", "error", "-i", video, "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"]
    png = subprocess.run(command, capture_output=True, check=True).stdout
    image = Image.open(io.BytesIO(png)).convert("RGB")
    w, h = image.size
    found = ""
    for y in (0, h // 2):
        for x in (0, w // 2):
            mean = ImageStat.Stat(image.crop((x + w // 8, y + h // 8, x + 3 * w // 8, y + 3 * h // 8))).mean
            found += "KRGYBMCW"[sum(bit for bit, value in zip((1, 2, 4), mean) if value > 150)]
    return found


def started(name, option, file, size="128x64"):
    run, video = render(model("base"), name, option, file, "--set", "recipe.independent_first_frame=true",
                        frames="1", size=size)
    if run.returncode != 0:
        return False, f"status {run.returncode}: {run.stderr.strip()}"
    found = letters(video)
    return found == "RGBW", found


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def check_starts():
    image = quadrants()
    image.save(OUT / "ref.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.ROTATE_90).save(OUT / "turned.png", exif=exif)
    yield "EXIF in PNG", started("png", "--image", OUT / "turned.png")
    hidden = image.convert("RGBA")
    hidden.paste((255, 0, 0, 0), (128, 72, 256, 144))
    hidden.save(OUT / "hidden.png")
    yield "transparent PNG", started("hidden", "--image", OUT / "hidden.png")
    tv = "scale=out_color_matrix=bt709:out_range=tv"
    still = ("-loop", "1", "-i", OUT / "ref.png", "-r", "16")
    x264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-crf", "10", "-colorspace", "bt709",
            "-color_range", "tv")
    ffmpeg(*still, "-frames:v", 9, "-vf", f"transpose=2,{tv}", *x264, OUT / "side.mp4")
    ffmpeg("-i", OUT / "side.mp4", "-c", "copy", "-metadata:s:v", "rotate=270", OUT / "phone.mp4")
    yield "display matrix", started("from_phone", "--video", OUT / "phone.mp4")
    ffmpeg(*still, "-frames:v", 9, "-vf", f"scale=96:144,setsar=8/3,{tv}", *x264, OUT / "anamorphic.mp4")
    yield "pixel aspect", started("from_anamorphic", "--video", OUT / "anamorphic.mp4")
    for name, scale in (("small", "scale=192:112,"), ("large", "")):
        ffmpeg(*still, "-frames:v", 21, "-vf", scale + tv, *x264, OUT / f"{name}.ts")
    (OUT / "changes.ts").write_bytes((OUT / "small.ts").read_bytes() + (OUT / "large.ts").read_bytes())
    ffmpeg("-i", OUT / "changes.ts", "-c", "copy", OUT / "changes.mkv")
    yield "size that changes, TS", started("changes_ts", "--video", OUT / "changes.ts")
    yield "size that changes, MKV", started("changes_mkv", "--video", OUT / "changes.mkv")


def check_memory():
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=3840x2160:r=16", "-frames:v", 33, "-c:v", "libx264", "-preset", "ultrafast",
           "-pix_fmt", "yuv420p", OUT / "4k.mp4")
    run, _ = render(model("base"), "dry", "--video", OUT / "4k.mp4", "--dry-run")
    expected = float(run.stdout.split("expected memory: ")[1].split(" MB")[0])
    run, video = render(OUT / "base", "from_4k", "--video", OUT / "4k.mp4")
    measured = json.loads(video.with_suffix(".json").read_text())["peak_memory_bytes"]["host"] / 1e6
    good = abs(expected / measured - 1) < 0.1 and measured < 800
    yield "4K", (good, f"expected {expected} MB, measured {measured} MB")


CHECKS = {name[6:]: check for name, check in sorted(globals().items()) if name.startswith("check_")}


def main():
    failed = 0
    for name in sys.argv[2:] or CHECKS:
        for what, (good, said) in CHECKS[name]():
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {name}: {what}{'' if good and len(said) > 60 else ': ' + said}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
