"""The landscapes: panoramas of paper-cut layers, far to near, painted once per season and scrolled at the speed of
their depth."""

import math
from dataclasses import dataclass

import torch

import world_buildings as buildings
from world_flora import (bush, conifer, crown_tree, ferns, flowers, grass_tufts, leaf_tree, reeds, rocks)
from world_seasons import Season
from world_shapes import (SNOW, Strip, box, chance, circle, cover, ellipse, mix, polygon, rgb, segment, smoothstep,
                          union)
from world_sky import TIMES, WEATHER

SCENES = ["sea", "hills", "desert", "mountains", "city", "forest", "lake", "canyon"]
HORIZON = {"lake": 84, "city": 114}  # the row that mirrors what is above it: always, or when it rains


@dataclass
class Layer:
    """A painted strip; speed in quarter elements a frame; mist: share of haze at its top and its bottom row."""

    strip: Strip
    speed: int
    mist: tuple


# What the light of a time of day does to the colours of a scene, beyond the light itself.
TONES = {"sea": {"dawn": (1.5, 0.95, 1.0), "sunset": (1.60, 0.92, 1.08), "night": (0.9, 1.0, 1.0)},
         "hills": {"sunset": (1.15, 1.0, 0.95)},
         "forest": {"sunset": (1.15, 1.0, 1.0), "night": (1.1, 1.1, 1.1)}}


def tones(name):
    """Factors on the light of each state (time * 4 + weather) in a scene: [16, 3]; rain and snow dull them."""
    share = {"clear": 1.0, "cloudy": 0.8, "rain": 0.4, "snow": 0.15}
    of_time = {time: torch.tensor(TONES.get(name, {}).get(time, (1.0, 1.0, 1.0))) for time in TIMES}
    return torch.stack([mix(torch.ones(3), of_time[time], share[weather]) for time in TIMES for weather in WEATHER])


def rails(winter):
    """The track under a train: gravel, sleepers, two rails."""
    s = Strip(64, 122, bottom=138, winter=winter)
    s.paint(cover((s.y - 130.6).abs() - 4.2 + 0.5 * torch.sin(s.x * 2 * math.pi * 5 / 64)), "#9b9086", snow=0.7,
            shade=1.05 - 0.16 * smoothstep(127, 134, s.y))
    for cx in range(4, 64, 8):
        s.paint(cover(box(s.dx(cx), s.y - 130.5, 2.4, 2.9, 0.6)), "#7c5a45", snow=0.45)
    for y, width in ((128.0, 0.9), (132.4, 1.1)):
        s.paint(cover((s.y - y + 0 * s.x).abs() - width), "#5d5a6c", snow=0.15)
        s.paint(cover((s.y - y + 0.5 * width + 0 * s.x).abs() - 0.28), "#d5d6e4", snow=0.1)
    return Layer(s, 8, (0.0, 0.0))


def scene_layers(name, season):
    """Layers behind and in front of the actor."""
    return {"sea": _sea, "hills": _hills, "desert": _desert, "mountains": _mountains, "city": _city, "forest": _forest,
            "lake": _lake, "canyon": _canyon}[name](Season(season))


# ---- sea


def _sea(season):
    back = [Layer(_islands(season), 1, (0.55, 0.35)), Layer(_water(season), 0, (0.75, 0.10))]
    rows = [("#4fb0cf", 97, 0.9, 2, (0.42, 0.30)), ("#3aa1c8", 103, 1.3, 3, (0.34, 0.24)),
            ("#2a8cbc", 110, 1.9, 4, (0.24, 0.16)), ("#1f78ae", 118, 2.6, 5, (0.14, 0.10))]
    for colour, base, amplitude, speed, mist in rows:
        back.append(Layer(_wave(season, colour, base, amplitude), speed, mist))
    front = [Layer(_wave(season, "#175f98", 127, 3.2), 6, (0.07, 0.05)),
             Layer(_wave(season, "#114a80", 138, 3.8), 8, (0.03, 0.03))]
    return back, front


def _islands(season):
    s = Strip(512, 48, bottom=100, winter=season.winter)
    lines = []
    for cx, width, height, colour in ((70, 110, 24, "#5d8f8a"), (170, 60, 13, "#6a9c8c"), (300, 90, 17, "#5d8f8a"),
                                      (410, 130, 30, "#548578")):
        dx = s.dx(cx)
        profile = 96 - height * torch.exp(-((dx / width * 2.4) ** 2)) - 0.18 * height * torch.cos(
            dx / width * 16) * torch.exp(-((dx / width * 2.6) ** 2)) + 0.5 * torch.sin(dx * 0.7) * (dx.abs() < width)
        lines.append(profile)
        land = cover(s.below(profile)) * (profile < 95.2)
        s.paint(land, season.grass(colour), snow=0.85 * smoothstep(95, 82, s.y + 0 * dx),
                shade=1.06 - 0.22 * smoothstep(-0.4 * width, 0.5 * width, dx))
        s.paint(cover(s.below(profile + 0.42 * height)) * land * 0.55, "#8d8a80", snow=0.3,
                shade=1.0 - 0.25 * smoothstep(0, 0.5 * width, dx))
        s.paint(cover((s.y - 95.2).abs() - 0.7) * (profile < 94.6), "#f0e2b8", snow=0.4)
    for i, (line, cx) in enumerate(((0, 52), (0, 58), (0, 84), (0, 92), (2, 290), (2, 312), (3, 392), (3, 400),
                                    (3, 430), (3, 438), (1, 168))):
        crown_tree(s, season, cx, s.height(lines[line], cx) + 1.5, 2.6 + 1.4 * chance(i), "#4f8a62", i)
    buildings.lighthouse(s, 118, 93)
    buildings.cottage(s, 300, s.height(lines[2], 300) + 2, 0.42, "#f4e3c4", "#c9604f")
    buildings.cottage(s, 414, s.height(lines[3], 414) + 2, 0.46, "#eadbc9", "#7d6fae")
    return s


def _water(season):
    s = Strip(64, 90, winter=season.winter)
    s.paint(cover(90.5 - s.y + 0 * s.x), "#6cc3dc", snow=0.30)
    for i in range(9):
        y, cx = 92 + 0.9 * i, 64 * chance(i, 3)
        s.paint(0.5 * cover(ellipse(s.dx(cx), s.y - y, 5 + 3 * chance(i), 0.35)), "#d8f3fa", snow=0.4)
    return s


def _wave(season, colour, base, amplitude):
    """A row of paper waves; its crests breathe over 24 frames: foam on the crest, a lit lip, threads of foam below."""
    s = Strip(128, int(base - 2.2 * amplitude - 2), frames=24, winter=season.winter)
    swell = 1 + 0.30 * torch.sin(2 * math.pi * s.t)
    sway = 0.04 * torch.sin(2 * math.pi * (s.t + 0.25))
    u = s.x / 64 + sway + base * 0.37
    crest = torch.sin(2 * math.pi * u) * 0.5 + 0.5
    h = base - amplitude * swell * (2 * crest.sqrt() - 1) + 0.4 * amplitude * torch.sin(
        2 * math.pi * (s.x / 128 + base * 0.13 - s.t))
    depth = s.y - h
    body = cover(s.below(h))
    dull = rgb("#5f86a0") if season.winter else rgb(colour)
    s.paint(body, mix(rgb(colour), dull, 0.35), snow=0.22, shade=1.12 - 0.26 * smoothstep(0, 16, depth))
    s.paint(body * (torch.exp(-(((depth - 2.8) / 1.6) ** 2)) * 0.35 * crest), "#a8e4f2", snow=0.5)
    lace = 0.5 + 0.5 * torch.sin(s.x * 2 * math.pi * 26 / 128 + 2 * torch.sin(s.x * 2 * math.pi * 7 / 128))
    foam = body * cover(depth - (0.55 + 1.05 * crest + 0.5 * crest * lace), 0.8)
    s.paint(foam * (0.35 + 0.60 * crest), "#f2fcff", snow=0.9)
    for k in range(3):
        line = depth - (4.2 + 2.6 * k) * (0.8 + amplitude / 8) - 0.8 * torch.sin(2 * math.pi * (s.x / 32 + 0.3 * k))
        dashes = smoothstep(0.25, 0.6, torch.sin(2 * math.pi * (s.x / (64 / (k + 1)) + 0.21 * k + sway)))
        s.paint(body * cover(line.abs() - 0.35, 0.7) * dashes * 0.42, "#d5f1fa", snow=0.6)
    return s


# ---- hills


def _hills(season):
    far = Strip(512, 58, winter=season.winter)
    h = far.waves(86, (12, 2, 0.1), (4, 5, 0.4), (2, 9, 0.7))
    far.paint(cover(far.below(h)), season.grass("#8fb8b0"), snow=0.9, shade=1.04 - 0.22 * smoothstep(0, 22, far.y - h))
    for i, (cx, tone) in enumerate(((40, "#a9c48e"), (150, "#c8c98c"), (260, "#9dbd9c"), (380, "#b9c787"),
                                   (470, "#a8c0a0"))):
        ground = far.height(h, cx)
        p = far.part(cx, 34, 34, ground - 4, ground + 18)
        field = torch.maximum(ellipse(p.dx(cx), p.y - ground - 8, 30, 7), p.below(h) + 1.5)
        furrow = smoothstep(-0.3, 0.3, torch.sin(p.dx(cx) * 1.3 + 0.5 * (p.y - ground)))
        p.paint(0.75 * cover(field), season.grass(tone), snow=0.92, shade=0.94 + 0.10 * furrow)
    for i in range(36):
        crown_tree(far, Season("summer") if not season.winter else season, i * 14.2 + 6 * chance(i),
                   far.height(h, i * 14.2 + 6 * chance(i)) + 1.4, 1.9 + 1.5 * chance(i, 2), "#6f9f86", i)
    middle = Strip(512, 34, winter=season.winter)
    h = middle.waves(98, (10, 3, 0.55), (3, 5, 0.2))
    _meadow(middle, season, h, "#8cc06a", 26)
    _village(middle, season, h)
    near = Strip(512, 84, winter=season.winter)
    h = near.waves(114, (4, 2, 0.8), (2, 5, 0.1))
    _meadow(near, season, h, "#64a94e", 20)
    for i, (cx, r) in enumerate(((20, 9), (36, 7), (170, 9), (300, 10), (318, 7.5), (440, 9))):
        bush(near, season, cx, near.height(h, cx) + 2, r, "#4a8f48", i + 50)
    buildings.fence(near, 214, 270, h)
    buildings.fence(near, 380, 420, h)
    for cx in (96, 112, 350, 490):
        buildings.sheep(near, cx, near.height(h, cx) + 5)
    flowers(near, season, 113, 121, 11, ("#ffe27a", "#ffffff", "#ff9db0"), 4, 0.9)
    return [Layer(far, 1, (0.55, 0.35)), Layer(middle, 2, (0.30, 0.14)), Layer(near, 4, (0.08, 0.04)),
            Layer(_path(season, "#e7cf9b", "#78b651", ("#f77f8e", "#ffd24d")), 8, (0.0, 0.0))], []


def _village(s, season, h):
    def ground(x):
        return s.height(h, x)

    for i, (cx, r) in enumerate(((12, 8), (40, 9), (128, 8), (205, 9), (222, 8), (244, 7), (330, 9), (404, 8), (420, 9),
                                 (480, 7.5), (500, 6))):
        crown_tree(s, season, cx, ground(cx) + 1.5, r, "#5a9a57", i + 20)
    for cx, size, wall, roof in ((70, 0.9, "#f7dcae", "#d8654f"), (88, 1.0, "#f5e8d2", "#b5524a"),
                                 (106, 0.85, "#e9cfa8", "#8a6fb0"), (280, 1.0, "#eec9a0", "#8a6fb0"),
                                 (300, 0.9, "#f6e6cb", "#cf6a4c"), (450, 0.9, "#f2d9b5", "#5f87a8")):
        buildings.cottage(s, cx, ground(cx) + 2, size, wall, roof)
    buildings.church(s, 160, ground(160) + 2)
    buildings.windmill(s, 372, ground(372) + 2)


def _meadow(s, season, h, colour, depth):
    d = s.y - h
    colour = season.grass(colour)
    s.paint(cover(s.below(h)), colour, snow=0.93, shade=1.10 - 0.30 * smoothstep(0, depth, d))
    stripe = smoothstep(-0.2, 0.5, torch.sin((d + 5 * torch.sin(s.x * 2 * math.pi * 3 / s.period)) * 2 * math.pi / 16))
    s.paint(cover(s.below(h + 4)) * stripe * 0.22, colour * 1.18, snow=0.97)
    s.paint(cover((d - 0.5).abs() - 0.5) * 0.7, colour * 1.25, snow=0.97)
    grass_tufts(s, season, h + 9, 17, 2.6, colour * 0.84, 3)
    grass_tufts(s, season, h + 4, 23, 2.2, colour * 0.88, 5)


def _path(season, colour, verge, blooms):
    """The flat strip that actors on the ground use, with a verge above and below."""
    s = Strip(512, 110, winter=season.winter)
    u = s.waves(118.2, (0.8, 8, 0.0), (0.3, 31, 0.4))
    green = season.grass(verge)
    grass_tufts(s, season, 118.6, 7.1, 4.2, green * 0.9, 7)
    s.paint(cover(s.below(u)), green, snow=0.95, shade=1.04 - 0.12 * smoothstep(118, 122, s.y))
    edge = s.waves(121.6, (0.5, 8, 0.2), (0.25, 43, 0.1))
    s.paint(cover(s.below(edge)), colour, snow=0.82, shade=1.05 - 0.12 * smoothstep(121, 136, s.y))
    s.paint(cover((s.y - edge - 0.4).abs() - 0.45) * 0.5, rgb(colour) * 0.72, snow=0.5)
    for y, width in ((126.8, 0.9), (133.0, 1.2)):
        track = (s.y - y - 0.5 * torch.sin(s.x * 2 * math.pi * 6 / 512)).abs() - width
        s.paint(0.38 * cover(track, 1.6), rgb(colour) * 0.78, snow=0.75)
    for i in range(34):
        cx, y = 15.06 * i + 9 * chance(i, 8), 123.5 + 11 * chance(i, 9)
        p = s.part(cx, 3, 3, y - 2, y + 2)
        p.paint(cover(ellipse(p.dx(cx), p.y - y, 1.0 + 0.7 * chance(i), 0.6)), rgb(colour) * (0.72 if i % 2 else 1.12),
                snow=0.5)
    low = s.waves(136, (1.0, 8, 0.6), (0.4, 37, 0.0))
    grass_tufts(s, season, low + 0.8, 6.4, 3.4, green * 0.82, 9)
    s.paint(cover(s.below(low)), green * 0.92, snow=0.97, shade=1.06 - 0.16 * smoothstep(136, 144, s.y))
    flowers(s, season, 137.6, 142.5, 9.3, blooms, 11, 1.5)
    flowers(s, season, 119.0, 120.8, 12.1, blooms, 13, 0.9)
    grass_tufts(s, season, 145.5, 14.2, 8.5, green * 0.72, 15)
    return s


# ---- desert


def _desert(season):
    far = Strip(512, 48, winter=season.winter)
    far.paint(cover(far.below(far.waves(97, (3, 3, 0.2)))), "#dba184", snow=0.6)
    for cx, w, height in ((60, 46, 30), (130, 30, 20), (318, 56, 38), (388, 34, 22)):
        _pyramid(far, cx, 98, w, height)
    for i, (cx, w, height) in enumerate(((222, 40, 24), (470, 34, 30))):
        _mesa(far, cx, 100, w, height, i)
    middle = Strip(512, 78, winter=season.winter)
    _dune(middle, middle.waves(103, (6, 2, 0.15), (3, 5, 0.5)), "#f0b56c")
    for cx in (196, 204, 214):
        _palm(middle, season, cx, 104, 17 + 4 * chance(cx))
    near = Strip(512, 74, winter=season.winter)
    h = near.waves(113, (4, 3, 0.4), (2, 4, 0.9))
    _dune(near, h, "#eaa455")
    for i, (cx, size) in enumerate(((50, 1.0), (150, 0.8), (262, 1.1), (350, 0.8), (452, 1.0))):
        _cactus(near, season, cx, h, size)
        rocks(near, cx + 22, near.height(h, cx + 22) + 3, 3.2 + 2 * chance(i), "#c98a5e", i)
        grass_tufts_at = near.height(h, cx - 16) + 2
        _dry_tuft(near, season, cx - 16, grass_tufts_at, 7, i)
    ground = Strip(512, 112, winter=season.winter)
    u = ground.waves(120, (1.2, 4, 0.3))
    ground.paint(cover(ground.below(u)), "#f8cf8a", snow=0.92, shade=1.05 - 0.16 * smoothstep(120, 144, ground.y))
    wobble = 2.2 * torch.sin(ground.x * 2 * math.pi * 8 / 512) + 0.9 * torch.sin(ground.x * 2 * math.pi * 21 / 512)
    ripple = smoothstep(0.35, 0.95, torch.sin((ground.y - wobble) * 2 * math.pi / 5.5))
    ground.paint(cover(ground.below(u + 4)) * ripple * 0.32, "#e0a25a", snow=0.8)
    for i in range(14):
        cx, y = 36.5 * i + 14 * chance(i, 4), 123 + 16 * chance(i, 5)
        rocks(ground, cx, y, 1.2 + 1.1 * chance(i, 6), "#c48f5f", i + 9)
    for i in range(8):
        _dry_tuft(ground, season, 64 * i + 30 * chance(i, 7), 140 + 4 * chance(i), 8, i + 20)
    flowers(ground, season, 137, 142.5, 15, (), 17, 1.4)
    return [Layer(far, 1, (0.5, 0.3)), Layer(middle, 2, (0.28, 0.16)), Layer(near, 4, (0.12, 0.06)),
            Layer(ground, 8, (0.0, 0.0))], []


def _pyramid(s, cx, base, w, height):
    """Two faces with courses of stone."""
    p = s.part(cx, w + 2, w + 2, base - height - 2, base + 1)
    dx = p.dx(cx)
    course = 0.93 + 0.07 * smoothstep(-0.2, 0.2, torch.sin(p.y * 2 * math.pi / 3.2))
    sun = [(-w, base), (0.12 * w, base - height), (0.30 * w, base)]
    dark = [(0.30 * w, base), (0.12 * w, base - height), (w, base)]
    p.paint(cover(polygon(dx, p.y, sun)), "#eebd8c", snow=0.75, shade=course)
    p.paint(cover(polygon(dx, p.y, dark)), "#bd7f70", snow=0.55, shade=course)


def _mesa(s, cx, base, w, height, key=0, colour="#cf8468"):
    """A table mountain: a wall in steps of strata, each ledge lit, a lit top, a skirt of scree."""
    p = s.part(cx, 1.3 * w, 1.3 * w, base - height - 4, base + 2)
    dx = p.dx(cx)
    wavy = p.y + 0.9 * torch.sin(dx * 0.12 + key) + 0.4 * torch.sin(dx * 0.45 + 2 * key)
    rise = (wavy - base) / 8.5
    rise = rise + 0.42 * torch.sin(1.9 * rise + key)  # strata of unlike thickness
    band = torch.floor(rise)  # number of the stratum, counted from the foot
    step = 0.5 + 0.5 * torch.sin(2.4 * band + 1.7 * key)
    reach = 0.64 * w + 1.6 + 0.05 * w * step + 0.34 * w * smoothstep(base - 0.55 * height, base + 2, p.y)
    d = torch.maximum(dx.abs() - reach, base - height - p.y + 0.5 * torch.sin(dx * 0.5 + key))
    tone = 0.93 + 0.11 * torch.sin(4.1 * band + key)
    light = 1.12 - 0.34 * smoothstep(-0.5 * w, 0.7 * w, dx + 2 * torch.sin(dx * 0.4 + key))
    p.paint(cover(d), colour, snow=0.22, shade=light * tone)
    depth = 8.5 * (rise - band)
    p.paint(0.55 * cover(torch.maximum(d, depth - 1.0)), rgb(colour) * 1.16, snow=0.85)
    p.paint(0.22 * cover(torch.maximum(d, 7.4 - depth)), rgb(colour) * 0.62, snow=0.2)
    flute = smoothstep(0.72, 1.0, torch.sin(dx * (0.55 + 3 / w) + 2.0 * torch.sin(1.9 * band + key)))
    p.paint(0.15 * flute * cover(d + 1), rgb(colour) * 0.62, snow=0.2)
    p.paint(cover(torch.maximum(d, p.y - (base - height + 1.6))), rgb(colour) * 1.18, snow=0.95)


def _dune(s, h, colour):
    """A dune lit on one side, the lee of each crest darker, with a sharp edge and wind ripples."""
    slope = (torch.roll(h, -4, 1) - torch.roll(h, 4, 1)) / 2
    lit = smoothstep(0.10, -0.10, slope)
    depth = s.y - h
    s.paint(cover(s.below(h)), colour, snow=0.9, shade=(0.86 + 0.20 * lit) - 0.10 * smoothstep(0, 24, depth))
    s.paint(cover((depth - 0.6).abs() - 0.5) * 0.6 * lit, rgb(colour) * 1.2, snow=0.95)
    wave = torch.sin((depth + 3 * torch.sin(s.x * 2 * math.pi * 7 / 512)) * 2 * math.pi / 4.5)
    s.paint(cover(s.below(h + 3)) * smoothstep(0.5, 1.0, wave) * 0.20 * smoothstep(26, 4, depth), rgb(colour) * 0.82,
            snow=0.8)


def _cactus(s, season, cx, h, k):
    ground = s.height(h, cx) + 3
    p = s.part(cx, 17 * k, 17 * k, ground - 34 * k, ground + 2)
    dx, dy = p.dx(cx) / k, (p.y - ground) / k
    trunk = segment(dx, dy, (0, 0), (0, -26), 4.2)
    arms = union(segment(dx, dy, (0, -9), (10, -9), 2.8), segment(dx, dy, (10, -9), (10, -18), 2.8),
                 segment(dx, dy, (0, -13), (-9, -13), 2.8), segment(dx, dy, (-9, -13), (-9, -22), 2.8))
    d = union(trunk, arms)
    snow = 0.8 * smoothstep(-12, -24, dy + 0 * dx)
    p.paint(cover(d * k), "#4c8a5c", snow=snow, shade=1.06 - 0.07 * dx.clamp(-4, 4))
    ribs = torch.minimum((dx + 1.9).abs(), torch.minimum(dx.abs(), (dx - 1.9).abs())) - 0.28
    p.paint(0.5 * cover(torch.maximum(ribs, trunk + 0.6) * k), "#356b49", snow=0.5)
    for a, b in ((10, -21), (-9, -25), (0, -30.5)) if season.name == "spring" else ():
        p.paint(cover(union(circle(dx - a, dy - b, 1.7), circle(dx - a - 1.5, dy - b + 0.8, 1.2),
                            circle(dx - a + 1.5, dy - b + 0.8, 1.2)) * k), "#ff7fa8", snow=0.3)


def _palm(s, season, cx, ground, height):
    p = s.part(cx, 0.8 * height, 0.8 * height, ground - 1.5 * height, ground + 2)
    dx, dy = p.dx(cx), p.y - ground
    bend = 0.12 * height * (1 - (1 + dy / height).clamp(0, 1)) ** 2
    p.paint(cover(torch.maximum((dx - bend).abs() - 0.8, (dy + height / 2).abs() - height / 2)), "#8d6546", snow=0.2,
            shade=0.92 + 0.12 * smoothstep(-0.3, 0.3, torch.sin(dy * 2.2)))
    for i in range(7):
        a = -1.9 + i * 0.63
        tip = (0.42 * height * math.sin(a) + 0.12 * height, -height + 0.16 * height - 0.30 * height * math.cos(a))
        top = (0.12 * height, -height)
        side = ((top[0] + tip[0]) / 2, (top[1] + tip[1]) / 2 - 0.10 * height)
        p.paint(cover(polygon(dx, dy, [top, side, tip, (side[0], side[1] + 1.4)], 0.3)), "#4e8b4a", snow=0.6,
                shade=0.85 + 0.05 * i)


def _dry_tuft(s, season, x, ground, height, key):
    colour = {"spring": "#8fb04e", "summer": "#c9a95a", "autumn": "#d08a3c", "winter": "#b79a6a"}[season.name]
    p = s.part(x, height, height, ground - 1.2 * height, ground + 1)
    dx, dy = p.dx(x), p.y - ground
    for b in range(7):
        lean = (b - 3) * 0.22 + 0.1 * chance(key, b)
        tall = height * (0.55 + 0.4 * chance(key, b, 2))
        p.paint(cover(segment(dx, dy, ((b - 3) * 0.5, 0), (lean * tall, -tall), 0.38)), colour, snow=0.5,
                shade=0.8 + 0.06 * b)


# ---- mountains


def _mountains(season):
    far = Strip(512, 34, winter=season.winter)
    for i, (cx, w, height) in enumerate(((20, 90, 44), (140, 80, 38), (250, 90, 48), (370, 84, 42), (460, 70, 36))):
        _peak(far, cx, 100, w, height, "#a9b9d8", "#93a3c8", 0.36, i)
    middle = Strip(512, 26, winter=season.winter)
    for i, (cx, w, height) in enumerate(((190, 86, 46), (420, 92, 50), (80, 96, 60), (300, 104, 68))):
        _peak(middle, cx, 108, w, height, "#8398b8", "#5f7399", 0.34, i + 5)
    for i in range(40):
        x = 12.8 * i + 5 * chance(i, 31)
        conifer(middle, x, 109 - 6 * chance(i, 32), 7 + 4 * chance(i, 33), "#5a8a86", i, 3)
    pines = Strip(512, 70, winter=season.winter)
    h = pines.waves(112, (2, 3, 0.1), (1.2, 7, 0.5))
    for i in range(34):
        size = 22 + 8 * math.sin(i * 2.4) + 4 * math.sin(i * 5.1)
        x = i * 15.06 + 3 * math.sin(i * 1.7)
        larch = season.name == "autumn" and i % 3 == 0
        conifer(pines, x, pines.height(h, x) + 3, size,
                "#d9a03c" if larch else "#2f6a5c" if i % 2 else "#3b7b66", i)
    pines.paint(cover(pines.below(h)), season.grass("#3f7a68"), snow=0.9,
                shade=1.05 - 0.2 * smoothstep(0, 12, pines.y - h))
    buildings.chalet(pines, 128, pines.height(h, 128) + 4)
    buildings.chalet(pines, 376, pines.height(h, 376) + 4)
    for cx in (52, 214, 300, 456):
        rocks(pines, cx, pines.height(h, cx) + 5, 4.5, "#8f97a8", cx)
    return [Layer(far, 1, (0.45, 0.55)), Layer(middle, 2, (0.14, 0.42)), Layer(pines, 4, (0.06, 0.10)),
            Layer(_path(season, "#d9c7a0", "#6fae62", ("#c08be0", "#ffffff")), 8, (0.0, 0.0))], []


def _peak(s, cx, base, w, height, lit, dark, cap, key=0):
    """A mountain with a lit and a shaded face, ribs of rock, and a white cap with a zigzag edge."""
    top = base - height
    p = s.part(cx, 0.64 * w, 0.64 * w, top - 3, base + 1)
    dx, y = p.dx(cx), p.y
    notch = 0.9 * torch.asin(torch.sin(y * 0.42 + key)) + 0.6 * torch.sin(y * 1.1 + 2 * key)
    d = polygon(dx + 0.5 * notch, y, [(-w * 0.62, base), (0, top), (w * 0.62, base)])
    ridge = 4 * torch.sin((y - top) * 0.16 + key) + 2.2 * torch.asin(torch.sin((y - top) * 0.5)) + 0.05 * (y - top)
    face = smoothstep(-0.6, 0.6, dx - ridge)
    for k in (-0.55, 0.5):
        rib = dx - ridge - k * 0.9 * (y - top) - 1.5 * torch.asin(torch.sin(y * 0.35 + k))
        flank = smoothstep(-0.5, 0.5, rib) * smoothstep(14 + 0.25 * (y - top), 2, rib) * 0.45
        face = (face + (flank if k < 0 else -flank * 0.7)).clamp(0, 1)
    line = top + cap * height + 3.4 * torch.asin(torch.sin(dx * 0.42 + key)) / 1.5 + 1.6 * torch.sin(dx * 0.95 + key)
    white = smoothstep(0.5, -0.5, y - line)
    colour = mix(rgb(lit)[:, None, None], rgb(dark)[:, None, None], face)
    colour = colour * (1 - 0.10 * smoothstep(-0.2, 0.2, torch.sin(y * 0.55 + dx * 0.35 + key)) * (1 - white))
    capped = mix(colour, mix(rgb("#ffffff")[:, None, None], rgb("#bccce8")[:, None, None], face), white)
    p.paint(cover(d), capped, snow=0.82 * (1 - 0.35 * face))


# ---- city


def _city(season):
    far = Strip(512, 30, winter=season.winter)
    for i in range(16):
        height = 30 + 14 * math.sin(i * 2.3) + 10 * math.sin(i * 4.1 + 1)
        buildings.tower(far, i * 32 + 16, 112, 15, height + 20, "#9aa7c9" if i % 2 else "#8d9bc2", i)
    middle = Strip(512, 22, winter=season.winter)
    colours = ["#e0876a", "#f0d9b5", "#6fa3a8", "#c9a0b8", "#e8b06a", "#8c8fc0", "#d98c8c", "#9fbf9a"]
    x = 0
    for i, (cells, floors) in enumerate(((3, 4), (4, 2), (3, 5), (2, 3), (4, 3), (3, 2), (3, 5), (2, 4), (4, 2), (3, 3),
                                         (3, 4), (4, 1))):
        width = cells * 12 + 8
        buildings.house(middle, x + width / 2, cells, floors, colours[i % 8], i)
        x += width - 0.1
    near = Strip(512, 78, winter=season.winter)
    near.paint(cover(near.below(near.waves(114))), "#8a8a9c", snow=0.8)
    for i, cx in enumerate(range(30, 512, 128)):
        crown_tree(near, season, cx, 115, 10, "#5f9f62", i + 70)
        buildings.lamp_post(near, cx + 64)
        buildings.bench(near, cx + 28, 115.5)
    road = Strip(128, 113, winter=season.winter)
    road.paint(cover(114.5 - road.y + 0 * road.x), "#cfc8c4", snow=0.9)
    slabs = torch.minimum(torch.remainder(road.x, 8.0), (road.y - 116.8).abs() * 2) - 0.3
    road.paint(0.35 * cover(slabs) * (road.y < 119), "#a8a2a4", snow=0.6)
    road.paint(cover(118.6 - road.y + 0 * road.x), "#e6e1dc", snow=0.8)
    road.paint(cover(120.0 - road.y + 0 * road.x), "#5b5a70", snow=0.62,
               shade=1.06 - 0.14 * smoothstep(119, 144, road.y))
    for i in range(26):
        cx, y = 128 * chance(i, 41), 121.5 + 21 * chance(i, 42)
        p = road.part(cx, 3, 3, y - 1, y + 1)
        p.paint(0.5 * cover(ellipse(p.dx(cx), p.y - y, 1.6, 0.5)), "#6d6c82" if i % 2 else "#4d4c60", snow=0.3)
    for cx in (16, 80):
        road.paint(cover(polygon(road.dx(cx), road.y - 135, [(-13, -1.8), (14, -1.8), (13, 1.8), (-15, 1.8)])),
                   "#f4e7c3",
                   snow=0.3)
    road.paint(cover(box(road.dx(48), road.y - 124, 4.5, 1.1, 1)), "#3e3d50", snow=0.3)
    return [Layer(far, 1, (0.42, 0.60)), Layer(middle, 2, (0.10, 0.24)), Layer(near, 4, (0.03, 0.06)),
            Layer(road, 8, (0.0, 0.0))], []


# ---- forest


def _forest(season):
    far = Strip(512, 38, winter=season.winter)
    h = far.waves(82, (4, 3, 0.3), (3, 7, 0.1))
    far.paint(cover(far.below(h)), season.grass("#86b3a0"), snow=0.5)
    for i in range(26):
        leaf_tree(far, season, i * 19.7, 112, 46 + 8 * math.sin(i * 2.1), 9.5, "#7fae9c" if i % 2 else "#8cb8a0", i,
                  "#7d9c90")
    middle = Strip(512, 18, winter=season.winter)
    middle.paint(cover(middle.below(middle.waves(108, (2, 4, 0.2)))), season.grass("#4f8d63"), snow=0.92)
    kinds = ["#3f8a63", "#6fa04f", "#57a065", "#2f7760", "#86a84c", "#6fae62", "#3a8068"]
    for i, cx in enumerate((18, 58, 96, 140, 178, 226, 262, 304, 346, 384, 428, 470)):
        height = 66 + 12 * math.sin(i * 2.7)
        if i % 4 == 2:
            conifer(middle, cx, 112, height * 0.95, "#2c6a58", i, 5)
        else:
            leaf_tree(middle, season, cx, 112, height, 15 + 2 * math.sin(i * 1.9), kinds[i % 7], i + 30)
    near = Strip(512, 84, winter=season.winter)
    h = near.waves(115, (2, 4, 0.4), (1, 9, 0.1))
    for i, cx in enumerate((14, 80, 100, 196, 280, 300, 390, 470)):
        bush(near, season, cx, near.height(h, cx) + 2, 8 + 2 * math.sin(i * 3.1), "#2f7458" if i % 3 else "#5d8f4a",
             i + 60)
    near.paint(cover(near.below(h)), season.grass("#3b7f55"), snow=0.95, shade=1.05 - 0.15 * smoothstep(0, 8,
                                                                                                        near.y - h))
    for i, cx in enumerate((44, 130, 165, 240, 338, 432, 500)):
        ferns(near, season, cx, near.height(h, cx) + 3, 8, i)
    for cx in (56, 226, 350):
        buildings.mushroom(near, cx, near.height(h, cx) + 4)
    return [Layer(far, 1, (0.50, 0.60)), Layer(middle, 2, (0.12, 0.22)), Layer(near, 4, (0.05, 0.04)),
            Layer(_path(season, "#cfa876", "#4a8f57", ("#f2f2ff", "#c9a0ff")), 8, (0.0, 0.0))], []


# ---- lake


def _lake(season):
    """Mountains and a wooded shore above the horizon; below it, what mirrors them is drawn, then ripples and reeds."""
    far = Strip(512, 24, bottom=86, winter=season.winter)
    for i, (cx, w, height) in enumerate(((40, 110, 40), (150, 90, 30), (262, 120, 48), (380, 96, 34), (460, 90, 40))):
        _peak(far, cx, 85, w, height, "#a3b6d6", "#8499c2", 0.34, i + 11)
    shore = Strip(512, 46, bottom=86, winter=season.winter)
    h = shore.waves(78, (3, 3, 0.3), (1.5, 7, 0.1))
    shore.paint(cover(shore.below(h)), season.grass("#6fa06e"), snow=0.9, shade=1.05 - 0.25 * smoothstep(0, 8,
                                                                                                         shore.y - h))
    for i in range(44):
        x = 11.64 * i + 5 * chance(i, 51)
        if chance(i, 52) < 0.6:
            conifer(shore, x, 83.5, 11 + 9 * chance(i, 53), "#3f7a66" if i % 2 else "#356b5e", i, 4)
        else:
            crown_tree(shore, season, x, 83.8, 3.6 + 2.2 * chance(i, 54), "#6aa05c", i + 80)
    buildings.cottage(shore, 96, 83.5, 0.62, "#f3dfbd", "#c9604f")
    buildings.cottage(shore, 330, 83.5, 0.6, "#e9d3b4", "#7a6aa8")
    buildings.jetty(shore, 112, 84)
    shore.paint(cover((shore.y - 84.4 + 0 * shore.x).abs() - 0.6), "#d8cfae", snow=0.8)
    ripples = [Layer(_ripples(base, gap, season), speed, (0.2 - 0.05 * k, 0.1))
               for k, (base, gap, speed) in enumerate(((86, 2.3, 1), (98, 3.6, 3), (118, 6.0, 6)))]
    bank = Strip(512, 104, winter=season.winter)
    for i, cx in enumerate((24, 60, 190, 216, 340, 372, 478)):
        reeds(bank, season, cx, 147, 24 + 10 * chance(i, 61), i)
    for i in range(12):
        _water_lily(bank, season, 42.6 * i + 20 * chance(i, 62), 134 + 8 * chance(i, 63), i)
    return [Layer(far, 1, (0.50, 0.45)), Layer(shore, 2, (0.22, 0.18)), *ripples], [Layer(bank, 8, (0.0, 0.0))]


def _ripples(base, gap, season):
    """Light dashes on water that breathe over 24 frames, from row `base` down."""
    s = Strip(128, base, frames=24, bottom=min(144, int(base + 26)), winter=False)
    for k in range(5):
        y = base + 2 + k * gap + 0.35 * torch.sin(2 * math.pi * (s.x / 64 + s.t + 0.3 * k))
        dash = smoothstep(0.30, 0.85, torch.sin(2 * math.pi * (s.x / 64 * (1 + k % 2) + 0.37 * k)
                                               + 0.5 * torch.sin(2 * math.pi * (s.t + 0.2 * k))))
        s.paint(0.40 * dash * cover((s.y - y).abs() - 0.10 * gap, 0.8), "#dcefff" if k % 2 else "#3f6f9a", snow=0.3)
    return s


def _water_lily(s, season, x, y, key):
    if season.winter:  # a floe in its place
        p = s.part(x, 9, 9, y - 3, y + 3)
        shape = polygon(p.dx(x), p.y - y, [(-7, 0), (-3, -1.8), (4, -1.5), (7.5, 0.4), (2, 2), (-4, 1.7)], 0.3)
        p.paint(cover(shape), SNOW, snow=0.9)
        return
    p = s.part(x, 8, 8, y - 5, y + 3)
    dx, dy = p.dx(x), p.y - y
    leaf = torch.maximum(ellipse(dx, dy, 6.2, 1.9), -polygon(dx, dy, [(0, 0), (7, -2.2), (7, -0.4)]))
    p.paint(cover(leaf), season.grass("#4f9a5a"), snow=0.7, shade=1.1 - 0.2 * smoothstep(-1.5, 1.5, dy))
    if key % 2 == 0 and season.name != "autumn":
        for a in (-1.1, -0.55, 0.0, 0.55, 1.1):
            petal = ellipse(dx - 2.0 * math.sin(a), dy + 2.2 + 0.9 * math.cos(a), 0.9 + 0.5 * abs(math.sin(a)), 1.5)
            p.paint(cover(petal), "#ffd9e8" if key % 4 else "#ffffff", snow=0.4, shade=1.0 - 0.1 * abs(a))
        p.paint(cover(circle(dx, dy + 2.0, 0.8)), "#ffd65a")


# ---- canyon


def _canyon(season):
    far = Strip(512, 32, winter=season.winter)
    far.paint(cover(far.below(far.waves(98, (2, 3, 0.2)))), "#d99a7c", snow=0.6)
    for i, (cx, w, height) in enumerate(((36, 40, 36), (118, 26, 46), (206, 48, 30), (300, 34, 50), (384, 28, 38),
                                         (462, 44, 44))):
        _mesa(far, cx, 100, w, height, i, "#d98e70" if i % 2 else "#cf8066")
    middle = Strip(512, 26, winter=season.winter)
    for i, (cx, w, height) in enumerate(((0, 44, 66), (140, 30, 52), (250, 50, 74), (402, 38, 60))):
        _mesa(middle, cx, 110, w, height, i + 7, "#c4623f" if i % 2 else "#b85638")
    _arch(middle, 330, 110)
    near = Strip(512, 78, winter=season.winter)
    h = near.waves(113, (3, 3, 0.2), (1.5, 7, 0.6))
    near.paint(cover(near.below(h)), "#c9764c", snow=0.85, shade=1.08 - 0.25 * smoothstep(0, 12, near.y - h))
    for i, cx in enumerate((20, 96, 176, 268, 350, 440, 490)):
        ground = near.height(h, cx)
        rocks(near, cx, ground + 4, 7 + 5 * chance(i, 71), "#b9603f", i + 30)
        bush(near, season, cx + 26, near.height(h, cx + 26) + 3, 4.5 + 2 * chance(i, 72), "#7d9a4e", i + 90)
        if i % 2:
            conifer(near, cx - 22, near.height(h, cx - 22) + 3, 20 + 5 * chance(i, 73), "#4b7a54", i)
    ground = Strip(512, 110, winter=season.winter)
    u = ground.waves(118.5, (1.0, 5, 0.1), (0.4, 17, 0.3))
    ground.paint(cover(ground.below(u)), "#d98a58", snow=0.9, shade=1.04 - 0.10 * smoothstep(118, 123, ground.y))
    edge = ground.waves(121.5, (0.7, 6, 0.4), (0.3, 29, 0.0))
    ground.paint(cover(ground.below(edge)), "#eab07c", snow=0.85, shade=1.04 - 0.14 * smoothstep(121, 137, ground.y))
    for y, width in ((126.8, 0.8), (133.0, 1.1)):
        ground.paint(0.35 * cover((ground.y - y - 0.5 * torch.sin(ground.x * 2 * math.pi * 6 / 512)).abs() - width,
                                  1.5),
                     "#c9854f", snow=0.75)
    low = ground.waves(136.5, (0.9, 7, 0.6), (0.4, 33, 0.0))
    ground.paint(cover(ground.below(low)), "#b9653f", snow=0.92, shade=1.06 - 0.2 * smoothstep(136, 144, ground.y))
    for i in range(22):
        cx, y = 23.3 * i + 12 * chance(i, 74), 119.5 + 3 * chance(i, 75) if i % 2 else 138 + 5 * chance(i, 75)
        rocks(ground, cx, y, 1.3 + 1.6 * chance(i, 76), "#a9573a", i + 60)
    for i in range(13):
        _dry_tuft(ground, season, 39.4 * i + 20 * chance(i, 77), 141 + 4 * chance(i, 78), 8, i + 40)
    flowers(ground, season, 138, 142.5, 13, (), 19, 1.4)
    return [Layer(far, 1, (0.50, 0.35)), Layer(middle, 2, (0.20, 0.14)), Layer(near, 4, (0.06, 0.04)),
            Layer(ground, 8, (0.0, 0.0))], []


def _arch(s, cx, base):
    """A natural bridge of red rock."""
    p = s.part(cx, 40, 40, base - 50, base + 2)
    dx, y = p.dx(cx), p.y
    band = torch.floor((y - base + 0.8 * torch.sin(dx * 0.12)) / 7.5)
    jag = 1.4 * torch.sin(2.3 * band) + 0.3 * torch.sin(y * 1.7)
    block = torch.maximum(dx.abs() - 32 - jag - 4 * smoothstep(base - 14, base, y),
                          base - 44 - y + 1.2 * torch.sin(dx * 0.4))
    hole = union(ellipse(dx - 2, y - base + 12, 19, 24 + 1.5 * math.sin(3)), box(dx - 2, y - base, 19, 12))
    d = torch.maximum(block, -hole - 0.8 * torch.sin(dx * 0.9 + y * 0.4))
    strata = smoothstep(-0.25, 0.25, torch.sin((y + 1.2 * torch.sin(dx * 0.12)) * 2 * math.pi / 7.5))
    p.paint(cover(d), "#bf5d3c", snow=0.25, shade=(1.12 - 0.32 * smoothstep(-30, 32, dx)) * (0.90 + 0.14 * strata))
    p.paint(cover(torch.maximum(d, y - base + 41.5 - 0.8 * torch.sin(dx * 0.4))), "#d98a62", snow=0.95)
