"""Whether videos rendered from wishes show what the lines of their timelines say, read by the classifier in the middle
of each line's time.

    python3 story_videos.py jobs WISHES.json JOBS.yaml [--wishes 20] [--seconds 40]   # then: flashblock batch JOBS.yaml
    python3 story_videos.py judge FOLDER [--vae out/vae]                              # reads FOLDER/videos

`jobs` writes a batch of wishes, with --expand and --record; `judge` needs no model but the demo model's decoder, and
trains a classifier (20 s of a GPU) where the folder of --vae has none. It writes FOLDER/story.png, the frames that were
judged.
"""
import argparse
import glob
import json
import os

import torch
from safetensors.torch import load_file

import classifier
import story_judge
import wan_vae
from common import DEVICE, grid, save_image, set_up
from evaluate import NAMES, moment_frames
from reference_render import DEMO


def write_jobs(wishes, path, count, seconds):
    """Every n-th wish, with its number as seed. JSON is YAML."""
    step = max(1, len(wishes) // count)
    jobs = [{"name": f"wish-{i:03}", "prompt": wish["wish"], "seed": i}
            for i, wish in list(enumerate(wishes))[::step][:count]]
    defaults = {"seconds": seconds, "expand": True, "output": "videos/{name}.mp4",
                "record": "videos/{name}.safetensors"}
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file:
        json.dump({"defaults": defaults, "jobs": jobs}, file, indent=1)


def lines_of(config, seconds):
    """[(second in the middle of its time, prompt)] of a sidecar's configuration."""
    lines = [{"at": 0, "prompt": config["prompt"]}, *config.get("timeline", [])]
    ends = [line["at"] for line in lines[1:]] + [seconds]
    return [((line["at"] + end) / 2, line["prompt"]) for line, end in zip(lines, ends)]


@torch.no_grad()
def judge(folder, judge_of, vae, log):
    hits, asked, sheet = dict.fromkeys(NAMES, 0), dict.fromkeys(NAMES, 0), []
    for path in sorted(glob.glob(f"{folder}/videos/*.json")):
        with open(path) as file:
            sidecar = json.load(file)
        latents = load_file(path.removesuffix("json") + "safetensors")["latents"].to(DEVICE)
        config, video, row = sidecar["configuration"], sidecar["video"], []
        for second, prompt in lines_of(config, video["seconds"]):
            clip = moment_frames(vae, latents, min(round(second * video["fps"]), video["frames"] - classifier.GAP - 2))
            logits = judge_of(clip[:, 0].float(), clip[:, classifier.GAP].float())
            said = story_judge.meaning(prompt)
            seen = {key: NAMES[key][int(logits[key].argmax())] for key in said}
            wrong = [f"{key} {seen[key]}" for key in said if seen[key] != said[key]]
            for key in said:
                asked[key] += 1
                hits[key] += seen[key] == said[key]
            row.append(clip[0, 0])
            log(f"{config['wish']} | {second:.0f} s: {prompt}", "right" if not wrong else "seen: " + ", ".join(wrong))
        sheet.append((row + [torch.ones_like(row[0])] * 5)[:5])
    log({key: f"{hits[key]} of {asked[key]}" for key in NAMES},
        f"all: {sum(hits.values())} of {sum(asked.values())}, {100 * sum(hits.values()) / sum(asked.values()):.1f} %")
    save_image(f"{folder}/story.png", grid(sheet))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    jobs = commands.add_parser("jobs")
    jobs.add_argument("wishes")
    jobs.add_argument("jobs")
    jobs.add_argument("--wishes", type=int, default=20, dest="count")
    jobs.add_argument("--seconds", type=int, default=40)
    judged = commands.add_parser("judge")
    judged.add_argument("folder")
    judged.add_argument("--vae", default="out/vae")
    options = parser.parse_args()
    if options.command == "jobs":
        with open(options.wishes) as file:
            write_jobs(json.load(file), options.jobs, options.count, options.seconds)
        return
    log = set_up(5, options.folder)
    vae = wan_vae.build_from_state_dict(load_file(f"{DEMO}/wan_vae.safetensors")).to(DEVICE).eval()
    judge(options.folder, classifier.load_or_train([options.vae], options.folder, log), vae, log)


if __name__ == "__main__":
    main()
