"""Draws a contact sheet of the world: two rows of videos per landscape, with different seasons, hours, weathers, actors
and colours.

    python scripts/train/world_sheet.py --output docs/demo-world-512.jpg     (needs Pillow)
"""

import argparse

import torch
from PIL import Image

import world

# season, time, weather, actor, colour, second actor, its colour; per landscape
ROWS = {
    "sea": ["summer day clear boat red", "summer sunset clear bird white boat blue", "autumn dawn cloudy balloon green",
            "summer night clear lantern orange", "spring day rain duck yellow", "winter dawn snow plane purple"],
    "hills": ["spring dawn clear rabbit white", "summer day clear balloon red car yellow",
              "autumn sunset cloudy train green",
              "summer night clear kite pink", "autumn day rain car orange", "winter day clear ball blue"],
    "desert": ["summer day clear ball purple", "spring dawn clear rabbit pink",
               "summer sunset clear train blue kite red",
               "summer night clear plane white", "autumn day rain balloon yellow", "winter sunset snow car green"],
    "mountains": ["summer day clear train orange plane white", "autumn sunset clear car purple",
                  "spring dawn cloudy bird red",
                  "summer night clear lantern pink", "summer day rain rabbit green", "winter day snow kite yellow"],
    "city": ["spring day clear car blue", "summer sunset cloudy train red lantern yellow",
             "autumn dawn clear bird orange",
             "summer night clear balloon purple", "autumn night rain car white", "winter sunset snow ball pink"],
    "forest": ["autumn day clear kite red", "spring day clear rabbit orange", "summer dawn cloudy balloon blue",
               "autumn night clear lantern green", "summer sunset rain train yellow bird white",
               "winter day clear car purple"],
    "lake": ["summer day clear duck yellow", "autumn sunset clear boat orange bird white",
             "spring dawn clear plane pink",
             "summer night clear boat green lantern red", "summer day rain kite blue", "winter dawn snow duck purple"],
    "canyon": ["summer day clear rabbit white", "autumn sunset clear train purple balloon yellow",
               "spring dawn clear car green",
               "summer night clear plane orange", "summer day rain ball blue", "winter day clear bird red"]}


def sheet_parameters():
    rows = []
    for scene, videos in ROWS.items():
        for column, video in enumerate(videos):
            season, time, weather, actor, color, *other = video.split(" ")
            cast = sorted([(world.ACTORS.index(actor), world.COLORS.index(color))] + (
                [(world.ACTORS.index(other[0]), world.COLORS.index(other[1]))] if other else []))
            (actor, color), (actor2, color2) = (cast + [(world.NOBODY, cast[0][1])])[:2]
            rows.append(dict(scene=world.SCENES.index(scene), season=world.SEASONS.index(season),
                             time=world.TIMES.index(time), weather=world.WEATHER.index(weather), actor=actor,
                             color=color,
                             actor2=actor2, color2=color2, direction=(column + len(rows) // 6) % 2,
                             start=(column + 3 * (len(rows) // 6)) % world.STARTS, camera=0))
    params = {key: torch.tensor([row[key] for row in rows]) for key in rows[0]}
    return params | dict(time2=params["time"], weather2=params["weather"], change=torch.full((len(rows),), world.NEVER))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="docs/demo-world-512.jpg")
    parser.add_argument("--frame", type=int, default=20, help="frame of each video")
    args = parser.parse_args()
    params = sheet_parameters()
    frames = world.render(params, torch.full((len(params["scene"]),), args.frame), 1)[:, 0].float()
    small = torch.nn.functional.interpolate(frames, size=(144, 256), mode="bilinear", antialias=True)
    rows = torch.nn.functional.pad(small, (2, 2, 2, 2), value=1.0).unflatten(0, (len(world.SCENES), -1))
    sheet = rows.permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)
    image = Image.fromarray((sheet * 255).round().byte().cpu().numpy())
    image.save(args.output, quality=66, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
