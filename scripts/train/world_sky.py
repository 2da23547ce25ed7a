"""Light and weather: palettes for every (time of day, weather), skies, clouds, rain and snow."""

import math

import torch

from world_shapes import HEIGHT, WIDTH, circle, cover, mix, rgb, segment, smoothstep, union

TIMES = ["dawn", "day", "sunset", "night"]
WEATHER = ["clear", "cloudy", "rain", "snow"]

# Per time of day: sky at the top, in the middle, at the horizon; light on things; haze; sun or moon (colour, x, y,
# radius); lit and shaded side of clouds; brightness of lamps.
TIME_PALETTE = {
    "dawn": dict(sky=["#8f93d6", "#f4b3c2", "#ffe6b8"], light=[0.98, 0.84, 0.86], haze="#f9cdc4", sun="#fff3c4",
                 place=(62, 60, 14),
                 cloud=["#fff0e6", "#d9a9c4"], grey="#c3b3c4", lamps=0.45),
    "day": dict(sky=["#2f8fe0", "#7cc4f4", "#e2f5fb"], light=[1.0, 1.0, 0.98], haze="#cfeaf6", sun="#fff3b4",
                place=(204, 30, 14),
                cloud=["#ffffff", "#bcd3e6"], grey="#b9c6d0", lamps=0.0),
    "sunset": dict(sky=["#4a2a78", "#e85a5a", "#ffc04d"], light=[0.98, 0.62, 0.50], haze="#f2875a", sun="#ffe08a",
                   place=(192, 66, 19),
                   cloud=["#ffb27a", "#93406f"], grey="#8d6274", lamps=0.6),
    "night": dict(sky=["#070b2b", "#13235c", "#33508f"], light=[0.30, 0.37, 0.66], haze="#22397a", sun="#f6f3dc",
                  place=(66, 34, 14),
                  cloud=["#5f74b4", "#263468"], grey="#28345a", lamps=1.0),
}
# Per weather: how far the sky goes to the grey of its time, brightness of sky and of light, grey of the light, fog.
WEATHER_PALETTE = {
    "clear": dict(grey=0.0, sky=1.0, light=1.0, dull=0.0, fog=1.0),
    "cloudy": dict(grey=0.60, sky=0.98, light=0.88, dull=0.35, fog=1.1),
    "rain": dict(grey=0.80, sky=0.66, light=0.68, dull=0.55, fog=1.25),
    "snow": dict(grey=0.46, sky=0.90, light=1.0, dull=0.45, fog=0.75),
}
STATES = len(TIMES) * len(WEATHER)
PRECIPITATION_FRAMES = 48
CLOUD_ROWS, CLOUD_PERIOD = 96, 512


def palette():
    """Colours of each state (time * 4 + weather): dict of [16, 3] or [16, 1]; "sky" is [16, 3 stops, 3]."""
    rows = [_state(time, weather) for time in TIMES for weather in WEATHER]
    return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}


def _state(time, weather):
    p, w = TIME_PALETTE[time], WEATHER_PALETTE[weather]
    night = time == "night"
    grey, light, haze = rgb(p["grey"]), torch.tensor(p["light"]), rgb(p["haze"])
    cool = torch.tensor([0.86, 0.96, 1.08]) if weather in ("rain", "snow") else torch.ones(3)
    if weather == "snow":  # a paler grey at every hour, darker than the snow
        grey = mix(grey, torch.tensor([0.93, 0.95, 1.0]), 0.15 if night else 0.25)
    sky = torch.stack([mix(rgb(c), grey * cool, w["grey"]) for c in p["sky"]]) * w["sky"]
    light = mix(light, light.mean() * cool, w["dull"]) * w["light"]
    if weather == "snow":
        light = light * 1.45 if night else mix(light, torch.tensor([0.95, 0.96, 1.0]), 0.6)
    haze = mix(haze, sky[2], 0.75) if weather != "clear" else haze
    lit, shaded = (mix(rgb(c), grey * cool, g) for c, g in zip(p["cloud"], (0.25, 0.45)))
    if weather == "rain":
        lit, shaded = mix(lit, shaded, 0.55) * 0.66, shaded * 0.52
    if weather == "snow":
        lit, shaded = mix(lit, grey, 0.2) * 1.08, mix(shaded, grey, 0.6) * 1.02
    drops = mix(light, torch.ones(3), 0.55)
    actor = mix(light / light.max(), torch.ones(3), 0.74) * (0.94 if night or weather == "rain" else 1.0)
    return dict(sky=sky.clamp(0, 1), light=light, haze=haze.clamp(0, 1), lit=lit.clamp(0, 1), shaded=shaded.clamp(0, 1),
                drops=drops,
                actor=actor, sun=rgb(p["sun"]), fog=torch.tensor([w["fog"]]),
                snow=torch.tensor([float(weather == "snow")]),
                lamps=torch.tensor([min(1.0, p["lamps"] + (0.35 if weather == "rain" else 0.0))]),
                glow=torch.tensor([{"night": 0.26, "sunset": 0.14, "dawn": 0.06, "day": 0.0}[time]]),
                clear=torch.tensor([{"clear": 1.0, "cloudy": 0.25, "rain": 0.05, "snow": 0.15}[weather]]))


def skies(colours):
    """The sky of each state with its sun, moon and stars: [16, W, 3, H]."""
    x, y = torch.arange(WIDTH)[None] + 0.5, torch.arange(HEIGHT)[:, None] + 0.5
    result = []
    for index in range(STATES):
        time, weather = TIMES[index // 4], WEATHER[index % 4]
        top, middle, horizon = colours["sky"][index][:, :, None, None]
        v = (y / 96).clamp(0, 1)
        frame = mix(mix(top, middle, smoothstep(0, 0.62, v)), horizon,
                    smoothstep(0.45, 1.0, v)).expand(3, HEIGHT, WIDTH)
        sun, (sx, sy, r) = colours["sun"][index][:, None, None], TIME_PALETTE[time]["place"]
        d = torch.sqrt((x - sx) ** 2 + (y - sy) ** 2)
        shine = {"clear": 1.0, "cloudy": 0.35, "rain": 0.0, "snow": 0.25}[weather]
        strength = 0.55 if time == "night" else 1.0
        frame = mix(frame, sun, shine * strength * 0.62 * torch.exp(-d / (r * 2.6)))
        if weather == "clear":
            for scale, alpha in ((3.1, 0.10), (2.1, 0.16)):
                frame = mix(frame, sun, strength * alpha * cover(d - scale * r, 3))
            disc = cover(d - r, 1.5)
            if time == "night":
                frame = mix(frame, rgb("#fff8d8")[:, None, None], _stars(x, y) * (1 - cover(d - 2.4 * r, 8)))
                disc = disc * (1 - cover(circle(x - sx - 7, y - sy + 4, r * 0.86), 1.5))
            frame = mix(frame, sun, disc)
        result.append(frame.clamp(0, 1))
    return torch.stack(result).permute(0, 3, 1, 2).contiguous()


def _stars(x, y):
    """Soft round stars, few and large enough for an eight-fold compression."""
    generator = torch.Generator().manual_seed(5)
    light = torch.zeros(HEIGHT, WIDTH)
    for i in range(28):
        u, v, size = torch.rand(3, generator=generator).tolist()
        sx, sy = (i % 7 + 0.15 + 0.7 * u) * WIDTH / 7, (i // 7 + 0.15 + 0.7 * v) * 23 + 2
        d2 = (x - sx) ** 2 + (y - sy) ** 2
        light = light + (0.75 + 0.25 * size) * torch.exp(-d2 / (1.6 + 2.2 * size))
    return light.clamp(0, 1)


GLINT_TOP, GLINT_ROWS, GLINT_FRAMES = 92, 36, 24
GLINT = {"dawn": 0.50, "day": 0.22, "sunset": 0.75, "night": 0.50}


def glints():
    """Light of sun and moon on water, a video of dashes for each time: [4, GLINT_FRAMES, W, GLINT_ROWS]."""
    x, y = torch.arange(WIDTH)[None, :, None] + 0.5, torch.arange(GLINT_TOP, GLINT_TOP + GLINT_ROWS)[None, None] + 0.5
    t = torch.arange(GLINT_FRAMES)[:, None, None] / GLINT_FRAMES
    videos = []
    for time in TIMES:
        light = torch.zeros(GLINT_FRAMES, WIDTH, GLINT_ROWS)
        for k in range(6):
            sway = torch.sin(2 * math.pi * (t + k * 0.37))
            cx, cy = TIME_PALETTE[time]["place"][0] + 4 * sway, GLINT_TOP + 3 + 6 * k
            half = 13 + 2.5 * k + 3 * torch.cos(2 * math.pi * (t + k * 0.23))
            light = torch.maximum(light, torch.exp(-(((x - cx) / half) ** 4) - ((y - cy) / 1.7) ** 2))
        videos.append(light * GLINT[time])
    return torch.stack(videos)


def clouds():
    """Clouds of each weather as columns [4, X, 2, CLOUD_ROWS]: coverage and lit part; X = 4 * CLOUD_PERIOD quarter
    elements."""
    x, y = (torch.arange(4 * CLOUD_PERIOD) / 4 + 0.5)[None], torch.arange(CLOUD_ROWS)[:, None] + 0.5
    tables = torch.zeros(4, 2, CLOUD_ROWS, 4 * CLOUD_PERIOD)
    far = [(30, 60, 26), (150, 66, 30), (262, 58, 24), (352, 64, 28), (452, 62, 26)]
    near = [(84, 26, 44), (214, 34, 50), (330, 22, 42), (440, 36, 50)]
    for puffs, alpha in ((far, 0.75), (near, 0.96)):
        for cloud in puffs:
            _puff(tables[1], x, y, cloud, alpha)
    _bank(tables[2], x, y, [(0, 34, 9, 0.1), (0, 22, 8, 0.55)], 0.97)
    _bank(tables[3], x, y, [(0, 30, 8, 0.35), (0, 18, 7, 0.8)], 0.85)
    return tables.permute(0, 3, 1, 2).contiguous()


def _wrap(d):
    return torch.remainder(d + CLOUD_PERIOD / 2, CLOUD_PERIOD) - CLOUD_PERIOD / 2


def _lay(table, coverage, lit):
    table[0] = mix(table[0], torch.ones(()), coverage)
    table[1] = mix(table[1], lit, coverage)


def _puff(table, x, y, cloud, alpha):
    """A paper-cut cumulus: flat foot, round heads, lit from above."""
    cx, cy, w = cloud
    dx, dy = _wrap(x - cx), y - cy
    heads = [(-0.62, 0.02, 0.30), (-0.24, -0.20, 0.40), (0.22, -0.12, 0.36), (0.62, 0.04, 0.28)]
    d = union(*(circle(dx - a * w, dy - b * w, r * w) for a, b, r in heads))
    d = torch.maximum(d, dy - 0.22 * w)
    _lay(table, alpha * cover(d, 2.5), smoothstep(0.24 * w, -0.42 * w, dy + 0.05 * w))


def _bank(table, x, y, rows, alpha):
    """A low band of cloud with a lobed lower edge, hanging from the top of the frame."""
    for _, base, amplitude, phase in rows:
        u = x / CLOUD_PERIOD
        lobes = torch.sin(math.pi * (8 * u + phase)).abs() * 1.5 + 0.6 * torch.sin(2 * math.pi * (3 * u + phase))
        h = base + amplitude * lobes
        _lay(table, alpha * cover((y - h) * 0.8, 3.0), (smoothstep(0, 1, (h - y) / 26) * 0.8 + 0.1).expand_as(table[1]))


def precipitation():
    """What falls in each weather, as videos of PRECIPITATION_FRAMES frames: coverage [4, 48, W, H].

    Rain repeats after 12 frames, near snow after 24, far snow after 48: one, two, four frame blocks.
    """
    x = torch.arange(WIDTH)[None, None] + 0.5
    y = torch.arange(HEIGHT)[None, :, None] + 0.5
    rain = torch.stack([_rain(x[0], y[0], f) for f in range(12)]).repeat(4, 1, 1)
    snow = torch.stack([_snow(x[0], y[0], f) for f in range(PRECIPITATION_FRAMES)])
    none = torch.zeros_like(snow)
    return torch.stack([none, none, rain, snow]).transpose(2, 3).contiguous()


def _rain(x, y, frame):
    """Soft slanted streaks falling 12 pixels a frame, in lanes 16 wide; the pattern is 144 high."""
    result = torch.zeros(HEIGHT, WIDTH)
    for lane in range(18):
        for drop in range(2):
            fall = (lane * 53 + drop * 72 + (lane % 3) * 11 + 12 * frame) % HEIGHT
            for turn in (-HEIGHT, 0):
                head = fall + turn + 20
                cx = lane * 16 - 4 + 40 - 0.28 * head
                d = segment(x - cx, y - head, (0.28 * 13, -13.0), (-0.28 * 13, 13.0), 0.4)
                result = torch.maximum(result, torch.exp(-(d.clamp(min=0) / 1.7) ** 2) * (0.5 if lane % 2 else 0.36))
    return result


def _snow(x, y, frame):
    """Round soft flakes: large ones fall 3 elements a frame, small ones 1.5; both patterns are 72 high."""
    result = torch.zeros(HEIGHT, WIDTH)
    for speed, period, pitch, radius, alpha, seed in ((1.5, 48, 24, 2.6, 0.70, 3), (3.0, 24, 36, 4.0, 0.95, 4)):
        generator = torch.Generator().manual_seed(seed)
        for cx in range(-pitch, WIDTH + pitch, pitch):
            u, v = torch.rand(2, generator=generator).tolist()
            sway = 4 * math.sin(2 * math.pi * (frame / period + u))
            for turn in range(-1, 3):
                fall = (v * 72 + speed * frame) % 72 + 72 * turn
                d = circle(x - cx - pitch * 0.5 * u - sway, y - fall, radius)
                result = torch.maximum(result, alpha * cover(d, 2.4))
    return result
