#!/usr/bin/env python3
"""What durability costs: the same video with syncs to disk and without, taking turns.

    apt-get install eatmydata
    python3 tests/bench/durability.py [--pairs 5] [--seconds 20] [--folder .]

Without means under eatmydata, which turns every fsync into nothing. The video goes to a folder below --folder: a disk
like the one that videos are kept on. FLASHBLOCK_PROGRAM names another program than build/cuda-release/app/flashblock.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("FLASHBLOCK_PROGRAM", str(ROOT / "build/cuda-release/app/flashblock"))


def render(folder, seconds, front):
    """The program's report (NAME.json) of one video."""
    video = pathlib.Path(folder) / "video.mp4"
    subprocess.run(front + [PROGRAM, "render", "a red balloon drifts over snowy hills", "--model", ROOT / "assets/demo",
                            "--seconds", str(seconds), "--seed", "1", "-o", video, "--overwrite", "--quiet"],
                   check=True)
    return json.loads(video.with_suffix(".json").read_text())


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=5)
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--folder", default=".")
    asked = options.parse_args()
    if not shutil.which("eatmydata"):
        sys.exit("eatmydata is not installed: apt-get install eatmydata")
    runs = {"with syncs": [], "without": []}
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        render(folder, 2, [])  # files are read once before anything is timed
        for pair in range(asked.pairs):
            order = [("with syncs", []), ("without", ["eatmydata"])]
            for name, front in order if pair % 2 == 0 else reversed(order):
                account = render(folder, asked.seconds, front)
                runs[name].append(account)
                print(f"{name:10}  {account['seconds']:7.3f} s, of it writing "
                      f"{account['stages']['write']['seconds']:.3f} s",
                      flush=True)
    seconds = {name: [account["seconds"] for account in accounts] for name, accounts in runs.items()}
    ratios = [a / b for a, b in zip(seconds["with syncs"], seconds["without"])]
    for name, times in seconds.items():
        print(f"{name}: median {statistics.median(times):.3f} s, {min(times):.3f} to {max(times):.3f}")
    print(f"with / without: median {statistics.median(ratios):.4f}, {min(ratios):.4f} to {max(ratios):.4f}")


if __name__ == "__main__":
    main()
