"""Draws a contact sheet of the world: one row per scene, with different hours, weathers, actors and colours.

    python scripts/train/world_sheet.py --output docs/demo-world.jpg     (needs Pillow)
"""

import argparse

import torch
from PIL import Image

import world

COLUMNS = [("dawn", "clear"), ("day", "clear"), ("sunset", "clear"), ("night", "clear"), ("day", "cloudy"),
           ("sunset", "rain"), ("day", "snow"), ("night", "snow")]


def sheet_parameters():
    rows = []
    for scene, name in enumerate(world.SCENES):
        allowed = world.actors_of(name)
        for column, (time, weather) in enumerate(COLUMNS):
            rows.append(dict(scene=scene, time=world.TIMES.index(time), weather=world.WEATHER.index(weather),
                             actor=world.ACTORS.index(allowed[(column + scene) % len(allowed)]),
                             color=(3 * column + scene) % len(world.COLORS), direction=(column + scene) % 2,
                             start=(column + 3 * scene) % world.STARTS))
    params = {key: torch.tensor([row[key] for row in rows]) for key in rows[0]}
    return params | dict(time2=params["time"], weather2=params["weather"], change=torch.full((len(rows),), world.NEVER))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="docs/demo-world.jpg")
    parser.add_argument("--frame", type=int, default=20, help="frame of each video")
    args = parser.parse_args()
    params = sheet_parameters()
    frames = world.render(params, torch.full((len(params["scene"]),), args.frame), 1)[:, 0]
    small = torch.nn.functional.interpolate(frames, size=(108, 192), mode="bilinear", antialias=True)
    rows = torch.nn.functional.pad(small, (2, 2, 2, 2), value=1.0).unflatten(0, (len(world.SCENES), len(COLUMNS)))
    sheet = rows.permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)
    Image.fromarray((sheet * 255).round().byte().numpy()).save(args.output, quality=86)


if __name__ == "__main__":
    main()
