"""Writes the demo model's files in the published format: bfloat16 safetensors with the published names, and their
settings.

    python3 export.py --vae FOLDER --model FOLDER --output assets/demo

FOLDERs are the outputs of train_vae.py and train_transformer.py; without --vae the autoencoder in the output folder
stays. Written: wan_vae, transformer and umt5 .safetensors, config.json, spiece.model, words.txt.
"""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file

import known_words
import prompts
import train_vae
import wan_transformer
import wan_vae

GEOMETRY = wan_transformer.Geometry()


def half(state):
    return {k: v.to(torch.bfloat16).contiguous() for k, v in sorted(state.items())}


def write(state, path):
    save_file(half(state), path, metadata={"format": "pt"})
    print(f"{path}: {len(state)} tensors, {os.path.getsize(path) / 1e6:.2f} MB")


def gather(folder, *names):
    return {k: v for name in names for k, v in load_file(f"{folder}/{name}.safetensors").items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vae")
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    os.makedirs(options.output, exist_ok=True)
    if options.vae:
        vae = train_vae.load_state(options.vae)
        wan_vae.build_from_state_dict(vae)  # a strict check of names and shapes
        write(vae, f"{options.output}/wan_vae.safetensors")
    transformer = gather(options.model, "transformer-0", "transformer-1")
    wan_transformer.WanTransformer(GEOMETRY).load_state_dict(transformer)
    write(transformer, f"{options.output}/transformer.safetensors")
    write(gather(options.model, "umt5"), f"{options.output}/umt5.safetensors")
    with open(f"{options.output}/config.json", "w") as file:
        json.dump(GEOMETRY.config(), file, indent=2)
        file.write("\n")
    shutil.copyfile(prompts.DEFAULT, f"{options.output}/spiece.model")
    with open(f"{options.output}/words.txt", "w") as file:
        file.write(known_words.file_text())


if __name__ == "__main__":
    main()
