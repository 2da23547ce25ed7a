"""Light and weather: palettes for every (time of day, weather), skies, clouds, and what falls from them."""

import math

import torch

from world_shapes import (HEIGHT, PIXELS, ROWS, SCALE, SUB, WIDTH, chance, circle, cover, ellipse, mix, rgb, rotate,
                          segment, smoothstep, union)

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
CLOUD_ROWS, CLOUD_PERIOD = 96, 512  # elements
PAN = 48  # elements that a pan of the camera moves the frame: the sky is painted that much wider on both sides


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


def pixel_grid(margin=0, rows=HEIGHT):
    """x [1, X], y [R, 1] of pixel centres, in elements; margin: elements beyond the frame's left and right edge."""
    x = (torch.arange(-SCALE * margin, PIXELS + SCALE * margin)[None] + 0.5) / SCALE
    return x, (torch.arange(SCALE * rows)[:, None] + 0.5) / SCALE


def skies(colours):
    """The sky of each state with its sun, moon and stars: [16, X, 3, ROWS], PAN elements wider than the frame on each
    side."""
    x, y = pixel_grid(PAN)
    result = []
    for index in range(STATES):
        time, weather = TIMES[index // 4], WEATHER[index % 4]
        top, middle, horizon = colours["sky"][index][:, :, None, None]
        v = (y / 96).clamp(0, 1)
        frame = mix(mix(top, middle, smoothstep(0, 0.62, v)), horizon, smoothstep(0.45, 1.0, v))
        frame = frame.expand(3, ROWS, x.shape[1])
        sun, (sx, sy, r) = colours["sun"][index][:, None, None], TIME_PALETTE[time]["place"]
        d = torch.sqrt((x - sx) ** 2 + (y - sy) ** 2)
        shine = {"clear": 1.0, "cloudy": 0.35, "rain": 0.0, "snow": 0.25}[weather]
        strength = 0.55 if time == "night" else 1.0
        frame = mix(frame, sun, shine * strength * 0.62 * torch.exp(-d / (r * 2.6)))
        if weather == "clear":
            frame = mix(frame, sun, strength * _rays(x - sx, y - sy, r, time))
            for scale, alpha in ((3.1, 0.08), (2.1, 0.13)):
                frame = mix(frame, sun, strength * alpha * cover(d - scale * r, 2.5))
            disc = cover(d - r, 0.9)
            if time == "night":
                stars = _stars(x, y) * (1 - cover(d - 2.4 * r, 8))
                frame = mix(frame, rgb("#fff8d8")[:, None, None], stars)
                crescent = disc * (1 - cover(circle(x - sx - 6, y - sy + 4, r * 0.92), 1.0))
                frame = mix(frame, sun * 0.42, disc * 0.25)
                frame = mix(frame, sun, crescent)
                for cx, cy, size in ((-7, 2, 2.2), (-8, -4, 1.4), (-3, 8, 1.6)):
                    frame = mix(frame, rgb("#d8cfa8")[:, None, None],
                                crescent * cover(circle(x - sx - cx, y - sy - cy, size), 1.2) * 0.6)
            else:
                frame = mix(frame, sun, disc)
                frame = mix(frame, torch.ones(3, 1, 1), disc * 0.45 * smoothstep(r, 0.2 * r, d))
        result.append(frame.clamp(0, 1))
    return torch.stack(result).permute(0, 3, 1, 2).contiguous()


def _rays(dx, dy, r, time):
    """Broad faint rays from a low sun."""
    if time not in ("dawn", "sunset"):
        return torch.zeros(())
    angle, d = torch.atan2(dy, dx), torch.sqrt(dx * dx + dy * dy)
    return 0.10 * smoothstep(-0.1, 0.7, torch.sin(9 * angle + 0.6)) * torch.exp(-d / 70) * smoothstep(r, 2 * r, d)


def _stars(x, y):
    """Soft round stars, the brightest with a cross of light, few and large enough for an eight-fold compression."""
    light = torch.zeros(y.shape[0], x.shape[1])
    for i in range(54):
        u, v, size = chance(i, 1), chance(i, 2), chance(i, 3) ** 2
        sx, sy = (i % 9 + 0.15 + 0.7 * u) * (WIDTH + 2 * PAN) / 9 - PAN, (i // 9 + 0.15 + 0.7 * v) * 15 + 2
        dx, dy = x - sx, y - sy
        light = light + (0.55 + 0.45 * size) * torch.exp(-(dx * dx + dy * dy) / (0.7 + 1.7 * size))
        if size > 0.5:
            cross = torch.exp(-dx.abs() / 2.6 - dy.abs() * 2.4) + torch.exp(-dy.abs() / 2.6 - dx.abs() * 2.4)
            light = light + 0.45 * cross
    return light.clamp(0, 1)


GLINT_TOP, GLINT_ROWS, GLINT_FRAMES = 85, 48, 24  # top and rows in elements
GLINT = {"dawn": 0.60, "day": 0.30, "sunset": 0.85, "night": 0.60}


def glints():
    """Light of sun and moon on water, a video of dashes for each time: [4 * GLINT_FRAMES, X, GLINT_ROWS] (pixels), as
    wide as the skies."""
    x, y = pixel_grid(PAN, GLINT_ROWS)
    x, y = x.transpose(0, 1)[None], y.transpose(0, 1)[None] + GLINT_TOP
    t = torch.arange(GLINT_FRAMES)[:, None, None] / GLINT_FRAMES
    videos = torch.zeros(len(TIMES), GLINT_FRAMES, x.shape[1], y.shape[2])
    for light, time in zip(videos, TIMES):
        place = TIME_PALETTE[time]["place"][0]
        for k in range(11):
            sway = torch.sin(2 * math.pi * (t + k * 0.37))
            cx = place + (1.5 + 0.4 * k) * sway + 3 * math.sin(2.4 * k)
            half = 7 + 1.3 * k + 3 * torch.cos(2 * math.pi * (t + k * 0.23))
            columns = slice(SCALE * (PAN + place - 45), SCALE * (PAN + place + 45))
            rows = slice(int(SCALE * max(0, 4.2 * k - 1)), int(SCALE * (4.2 * k + 6)))
            dash = torch.exp(-(((x[:, columns] - cx) / half) ** 4)
                             - ((y[..., rows] - GLINT_TOP - 2.5 - 4.2 * k) / 1.05) ** 2)
            light[:, columns, rows] = torch.maximum(light[:, columns, rows], GLINT[time] * (1 - 0.05 * k) * dash)
    return videos.flatten(0, 1)


def clouds():
    """Clouds of each weather as columns [4 * X, 3, rows]: coverage, lit part, dark part (birds); X = SUB * CLOUD_PERIOD
    columns."""
    x, y = (torch.arange(SUB * CLOUD_PERIOD) / SUB + 0.25)[None], pixel_grid(rows=CLOUD_ROWS)[1]
    tables = torch.zeros(4, 3, len(y), x.shape[1])
    for cloud in ((60, 30, 30), (215, 18, 24), (372, 36, 34), (470, 22, 22)):
        _wisp(tables[0], x, y, cloud)
    for cx, cy, size in ((128, 46, 1.0), (142, 41, 0.8), (150, 48, 0.7), (300, 28, 0.9), (312, 33, 0.7), (430, 52, 0.9),
                         (441, 47, 0.75), (421, 45, 0.6), (20, 50, 0.8)):
        _gull(tables[0], x, y, cx, cy, size)
    far = [(30, 60, 24), (150, 66, 28), (262, 58, 22), (352, 64, 26), (452, 62, 24)]
    near = [(84, 27, 42), (214, 34, 48), (330, 24, 40), (440, 36, 48)]
    for puffs, alpha in ((far, 0.75), (near, 0.97)):
        for i, cloud in enumerate(puffs):
            _puff(tables[1], x, y, cloud, alpha, i + len(puffs))
    _bank(tables[2], x, y, [(34, 9, 0.1), (26, 8, 0.36), (18, 8, 0.55)], 0.97)
    _bank(tables[3], x, y, [(30, 8, 0.35), (23, 7, 0.6), (16, 7, 0.8)], 0.85)
    return tables.permute(0, 3, 1, 2).flatten(0, 1).contiguous()


def _wrap(d):
    return torch.remainder(d + CLOUD_PERIOD / 2, CLOUD_PERIOD) - CLOUD_PERIOD / 2


def _lay(table, coverage, lit):
    table[0] = mix(table[0], torch.ones(()), coverage)
    table[1] = mix(table[1], lit, coverage)


def _wisp(table, x, y, cloud):
    """A thin streak of high cloud."""
    cx, cy, w = cloud
    dx, dy = _wrap(x - cx), y - cy
    for i in range(4):
        d = ellipse(dx - (i - 1.5) * 0.55 * w, dy - 3.2 * math.sin(1.9 * i + cx) + 0.05 * (dx - i * w * 0.3),
                    w * (0.9 - 0.12 * i), 2.0 + 0.5 * (i % 2))
        _lay(table, 0.42 * smoothstep(1.6, -2.0, d), 0.85 + 0 * dx)


def _gull(table, x, y, cx, cy, size):
    """A far bird: two curved wings."""
    dx, dy = _wrap(x - cx).abs() / size, (y - cy) / size
    d = (torch.sqrt((dx - 2.7) ** 2 + (dy - 2.2) ** 2 + 1e-6) - 3.1).abs() - 0.42
    d = torch.maximum(torch.maximum(d, dy - 0.6), dx - 5.2)
    coverage = 0.8 * cover(d * size, 0.9)
    _lay(table, coverage, 0.0)
    table[2] = mix(table[2], torch.ones(()), coverage)


def _puff(table, x, y, cloud, alpha, seed):
    """A paper-cut cumulus: flat foot, round heads in two rows, lit from above, each head with a shaded foot."""
    cx, cy, w = cloud
    dx, dy = _wrap(x - cx), y - cy
    heads = [(-0.80, 0.10, 0.17), (-0.56, 0.00, 0.27), (-0.22, -0.20, 0.38), (0.20, -0.13, 0.34), (0.52, 0.02, 0.26),
             (0.80, 0.12, 0.15), (-0.02, -0.42, 0.20)]
    shift = 0.06 * (chance(seed) - 0.5)
    d = union(*(circle(dx - (a + shift) * w, dy - b * w, r * w) for a, b, r in heads))
    d = torch.maximum(d, dy - 0.22 * w)
    _lay(table, alpha * cover(d, 1.2), smoothstep(0.24 * w, -0.42 * w, dy + 0.05 * w))
    for a, b, r in ((-0.50, 0.14, 0.24), (0.08, 0.05, 0.30), (0.55, 0.16, 0.20)):
        inner = torch.maximum(circle(dx - a * w, dy - b * w, r * w), d + 1.2)
        inner = torch.maximum(inner, dy - 0.20 * w)
        _lay(table, alpha * 0.75 * cover(inner, 1.5), smoothstep(0.26 * w, -0.30 * w, dy - 0.04 * w) * 0.96)


def _bank(table, x, y, rows, alpha):
    """Low bands of cloud with lobed lower edges, hanging from the top of the frame."""
    for base, amplitude, phase in rows:
        u = x / CLOUD_PERIOD
        lobes = torch.sin(math.pi * (8 * u + phase)).abs() * 1.5 + 0.6 * torch.sin(2 * math.pi * (3 * u + phase))
        lobes = lobes + 0.30 * torch.sin(math.pi * (22 * u + 3 * phase)).abs()
        h = base + amplitude * lobes
        _lay(table, alpha * cover((y - h) * 0.8, 1.6), (smoothstep(0, 1, (h - y) / 24) * 0.8 + 0.1).expand_as(table[1]))


def precipitation():
    """What falls in each weather, as videos of PRECIPITATION_FRAMES frames: coverage [4 * 48, PIXELS, ROWS].

    Rain repeats after 12 frames, near snow after 24, far snow after 48: one, two, four frame blocks.
    """
    x, y = pixel_grid()
    rain = torch.stack([_rain(x, y, f) for f in range(12)]).repeat(4, 1, 1)
    snow = torch.stack([_snow(x, y, f) for f in range(PRECIPITATION_FRAMES)])
    none = torch.zeros_like(snow)
    return torch.cat([none, none, rain, snow]).transpose(1, 2).contiguous()


def _rain(x, y, frame):
    """Slanted streaks falling 12 elements a frame, in lanes 13 wide, near and far; the pattern is 144 high."""
    result = torch.zeros(ROWS, PIXELS)
    for lane in range(23):
        near = lane % 3 == 0
        for drop in range(2):
            fall = (lane * 53 + drop * 72 + (lane % 3) * 11 + 12 * frame) % HEIGHT
            for turn in (-HEIGHT, 0):
                head, half = fall + turn + 20, 13.0 if near else 9.0
                cx = lane * 13 - 4 + 40 - 0.28 * head
                left, top = int(SCALE * (cx - 9)), int(SCALE * (head - half - 6))
                part = (slice(max(0, top), max(0, int(SCALE * (head + half + 6)))),
                        slice(max(0, left), max(0, int(SCALE * (cx + 9)))))
                xs, ys = x[:, part[1]] - cx, y[part[0]] - head
                if not (xs.numel() and ys.numel()):
                    continue
                d = segment(xs, ys, (0.28 * half, -half), (-0.28 * half, half), 0.3)
                fade = 0.55 + 0.45 * (ys / half).clamp(-1, 1)
                streak = torch.exp(-(d.clamp(min=0) / (1.15 if near else 0.8)) ** 2) * (0.62 if near else 0.40) * fade
                result[part] = torch.maximum(result[part], streak)
    return result


def _snow(x, y, frame):
    """Round flakes: large ones fall 3 elements a frame, middle and small ones 1.5; patterns are 72 high."""
    result = torch.zeros(ROWS, PIXELS)
    for speed, period, pitch, radius, alpha, seed in ((1.5, 48, 16, 1.5, 0.62, 5), (1.5, 48, 26, 2.3, 0.76, 3),
                                                      (3.0, 24, 38, 3.6, 0.95, 4)):
        for k, start in enumerate(range(-pitch, WIDTH + pitch, pitch)):
            u, v = chance(k, seed), chance(k, seed, 7)
            cx = start + pitch * 0.5 * u + 4 * math.sin(2 * math.pi * (frame / period + u))
            for turn in range(-1, 3):
                cy = (v * 72 + speed * frame) % 72 + 72 * turn
                if not -radius - 2 < cy < HEIGHT + radius + 2:
                    continue
                part = (slice(max(0, int(SCALE * (cy - radius - 2))), max(0, int(SCALE * (cy + radius + 2)))),
                        slice(max(0, int(SCALE * (cx - radius - 2))), max(0, int(SCALE * (cx + radius + 2)))))
                d = circle(x[:, part[1]] - cx, y[part[0]] - cy, radius)
                if d.numel():
                    result[part] = torch.maximum(result[part], alpha * cover(d, 1.3))
    return result


DRIFT = {"spring": ["#ffc1d8", "#fff0f6", "#ffa9c8"], "autumn": ["#e2792b", "#c94a2a", "#f0b437"]}


def drifting(season):
    """Petals in spring, leaves in autumn: premultiplied colour and coverage [48, PIXELS, 4, ROWS]; one drifts down 96
    elements in 48 frames, swaying and turning."""
    x, y = pixel_grid()
    video = torch.zeros(PRECIPITATION_FRAMES, 4, ROWS, PIXELS)
    size = (1.9, 1.3) if season == "spring" else (2.9, 1.6)
    for frame in range(PRECIPITATION_FRAMES):
        t = frame / PRECIPITATION_FRAMES
        for k in range(13):
            u, v, w = chance(k, 21), chance(k, 22), chance(k, 23)
            sway = math.sin(2 * math.pi * (t + w)) * (5 + 4 * u)
            for turn in (-1, 0, 1):
                cx, cy = (k + 0.5 * u + 0.2) * WIDTH / 13 + sway, (v * 96 + 96 * t) % 96 + 96 * turn
                part = (slice(max(0, int(SCALE * (cy - 5))), max(0, int(SCALE * (cy + 5)))),
                        slice(max(0, int(SCALE * (cx - 5))), max(0, int(SCALE * (cx + 5)))))
                dx, dy = rotate(x[:, part[1]] - cx, y[part[0]] - cy, 1.2 * math.sin(2 * math.pi * (t + w)) + 3 * u)
                if not dx.numel():
                    continue
                coverage = 0.95 * cover(ellipse(dx, dy, *size), 0.8)
                colour = rgb(DRIFT[season][k % 3])[:, None, None] * (1 - 0.18 * smoothstep(-0.2, 0.2, dy))
                laid = torch.cat([colour, torch.ones_like(colour[:1])])
                old = video[frame, :, part[0], part[1]]
                video[frame, :, part[0], part[1]] = old + coverage * (laid - old)
    return video.permute(0, 3, 1, 2).contiguous()
