"""Writes the demo model's files with the published names and their settings: the transformer as GGUF of 8 bits, the
others as bfloat16 safetensors.

    python3 export.py --vae FOLDER --model FOLDER --output assets/demo

FOLDERs are the outputs of train_vae.py (or a file of pack.py) and train_transformer.py; without --vae the autoencoder
in the output folder stays. Written: transformer.gguf, wan_vae.safetensors, umt5.safetensors, config.json, model.yaml,
spiece.model, words.txt.
"""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file

import choices
import gguf
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
    transformer = wan_transformer.load_state(options.model)
    wan_transformer.WanTransformer(GEOMETRY).load_state_dict(transformer)
    path = f"{options.output}/transformer.gguf"
    gguf.save(transformer, path)
    print(f"{path}: {len(transformer)} tensors, {os.path.getsize(path) / 1e6:.2f} MB")
    write(load_file(f"{options.model}/umt5.safetensors"), f"{options.output}/umt5.safetensors")
    with open(f"{options.output}/config.json", "w") as file:
        json.dump(GEOMETRY.config(), file, indent=2)
        file.write("\n")
    shutil.copyfile(prompts.DEFAULT, f"{options.output}/spiece.model")
    with open(os.path.join(os.path.dirname(__file__), "model.yaml")) as template, \
            open(f"{options.output}/model.yaml", "w") as file:
        file.write(template.read().replace("choices: []\n", choices.yaml_text()))
    with open(f"{options.output}/words.txt", "w") as file:
        file.write(known_words.file_text())


if __name__ == "__main__":
    main()
