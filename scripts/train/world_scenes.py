"""The landscapes: panoramas of paper-cut layers, far to near, painted once and scrolled at the speed of their depth."""

import math
from dataclasses import dataclass

import torch

from world_shapes import Strip, box, circle, cover, ellipse, mix, polygon, rgb, segment, smooth_union, smoothstep, union
from world_sky import TIMES, WEATHER

SCENES = ["sea", "hills", "desert", "mountains", "city", "forest"]


@dataclass
class Layer:
    """A painted strip; speed in quarter pixels a frame; mist: share of haze at its top and its bottom row."""

    strip: Strip
    speed: int
    mist: tuple


# What the light of a time of day does to the colours of a scene, beyond the light itself.
TONES = {"sea": {"dawn": (1.5, 0.95, 1.0), "sunset": (1.85, 0.92, 1.05), "night": (0.9, 1.0, 1.0)},
         "hills": {"sunset": (1.15, 1.0, 0.95)},
         "forest": {"sunset": (1.15, 1.0, 1.0), "night": (1.1, 1.1, 1.1)}}


def tones(name):
    """Factors on the light of each state (time * 4 + weather) in a scene: [16, 3]; rain and snow dull them."""
    share = {"clear": 1.0, "cloudy": 0.8, "rain": 0.4, "snow": 0.15}
    of_time = {time: torch.tensor(TONES.get(name, {}).get(time, (1.0, 1.0, 1.0))) for time in TIMES}
    return torch.stack([mix(torch.ones(3), of_time[time], share[weather]) for time in TIMES for weather in WEATHER])


def rails():
    """The track under a train."""
    s = Strip(64, 124, bottom=136)
    for cx in (8, 24, 40, 56):
        s.paint(cover(box(s.dx(cx), s.y - 130.5, 4.0, 2.6, 1)), "#8a6650", snow=0.55)
    s.paint(cover((s.y - 127.8 + 0 * s.x).abs() - 1.5), "#6d6a7c", snow=0.25)
    return Layer(s, 8, (0.0, 0.0))


def scene_layers(name):
    """Layers behind and in front of the actor."""
    return {"sea": _sea, "hills": _hills, "desert": _desert, "mountains": _mountains, "city": _city,
            "forest": _forest}[name]()


# ---- sea


def _sea():
    back = [Layer(_islands(), 1, (0.55, 0.35)), Layer(_water(), 0, (0.75, 0.10))]
    rows = [("#4fb0cf", 99, 1.4, 2, (0.42, 0.30)), ("#2f93c0", 107, 2.0, 3, (0.28, 0.2)),
            ("#1f78ae", 116, 2.8, 4, (0.16, 0.12))]
    for colour, base, amplitude, speed, mist in rows:
        back.append(Layer(_wave(colour, base, amplitude), speed, mist))
    front = [Layer(_wave("#175f98", 126, 3.4), 6, (0.08, 0.06)), Layer(_wave("#114a80", 138, 4.0), 8, (0.04, 0.04))]
    return back, front


def _islands():
    s = Strip(512, 52, bottom=100)
    for cx, width, height, colour in ((70, 110, 24, "#5d8f8a"), (150, 60, 14, "#6a9c8c"), (300, 90, 17, "#5d8f8a"),
                                      (410, 130, 30, "#548578")):
        dx = s.dx(cx)
        profile = 96 - height * torch.exp(-((dx / width * 2.4) ** 2)) - 0.18 * height * torch.cos(
            dx / width * 16) * torch.exp(-((dx / width * 2.6) ** 2))
        s.paint(cover(s.below(profile)) * (profile < 95.2), colour, snow=0.85 * smoothstep(94, 84, s.y + 0 * dx))
    dx, tower = s.dx(118), s.y
    s.paint(cover(polygon(dx, tower, [(-4, 60), (4, 60), (6, 92), (-6, 92)])), "#f6efe2", snow=0.1)
    s.paint(cover(box(dx, tower - 74, 5.2, 4)), "#d9564a", snow=0.1)
    s.paint(cover(box(dx, tower - 57.5, 4.2, 4, 1)), "#ffe9a8", lamp=1.0)
    s.paint(cover(polygon(dx, tower, [(-6, 54.5), (0, 52.2), (6, 54.5)], 0.4)), "#c94f45", snow=0.6)
    return s


def _water():
    s = Strip(64, 90)
    s.paint(cover(90.5 - s.y + 0 * s.x), "#6cc3dc", snow=0.35)
    return s


def _wave(colour, base, amplitude):
    """A row of paper waves; its crests breathe over 24 frames."""
    s = Strip(128, int(base - 2.2 * amplitude - 2), frames=24)
    swell = 1 + 0.30 * torch.sin(2 * math.pi * s.t)
    sway = 0.04 * torch.sin(2 * math.pi * (s.t + 0.25))
    u = s.x / 64 + sway + base * 0.37
    crest = torch.sin(2 * math.pi * u) * 0.5 + 0.5
    h = base - amplitude * swell * (2 * crest.sqrt() - 1) + 0.4 * amplitude * torch.sin(
        2 * math.pi * (s.x / 128 + base * 0.13 - s.t))
    depth = s.y - h
    s.paint(cover(s.below(h)), colour, snow=0.34, shade=1.10 - 0.22 * smoothstep(0, 16, depth))
    foam = cover(s.below(h)) * (torch.exp(-(((depth - 1.8) / 1.5) ** 2)) * (0.25 + 0.65 * crest))
    s.paint(foam, "#e9fbff", snow=0.9)
    return s


# ---- hills


def _hills():
    far = Strip(512, 60)
    h = far.waves(86, (12, 2, 0.1), (4, 5, 0.4), (2, 9, 0.7))
    far.paint(cover(far.below(h)), "#8fb8b0", snow=0.9, shade=1.04 - 0.24 * smoothstep(0, 22, far.y - h))
    middle = Strip(512, 36)
    h = middle.waves(98, (10, 3, 0.55), (3, 5, 0.2))
    _meadow(middle, h, "#8cc06a", 26)
    for cx, r in ((40, 9), (56, 7), (128, 8), (205, 10), (222, 8), (240, 7), (330, 9), (404, 8), (420, 10), (480, 7)):
        _round_tree(middle, cx, h, r, "#5a9a57")
    _cottage(middle, 88, h, "#f7dcae", "#d8654f")
    _cottage(middle, 290, h, "#eec9a0", "#8a6fb0")
    _windmill(middle, 372, h)
    near = Strip(512, 88)
    h = near.waves(114, (4, 2, 0.8), (2, 5, 0.1))
    _meadow(near, h, "#64a94e", 20)
    for cx, r in ((20, 11), (36, 8), (170, 10), (300, 12), (318, 9), (440, 10)):
        _bush(near, cx, h + 2, r, "#4a8f48")
    return [Layer(far, 1, (0.55, 0.35)), Layer(middle, 2, (0.32, 0.16)), Layer(near, 4, (0.10, 0.05)),
            Layer(_path("#e7cf9b", "#78b651", ("#f77f8e", "#ffd24d")), 8, (0.0, 0.0))], []


def _meadow(s, h, colour, depth):
    d = s.y - h
    s.paint(cover(s.below(h)), colour, snow=0.93, shade=1.10 - 0.30 * smoothstep(0, depth, d))
    stripe = smoothstep(-0.2, 0.5, torch.sin((d + 5 * torch.sin(s.x * 2 * math.pi * 3 / s.period)) * 2 * math.pi / 16))
    s.paint(cover(s.below(h + 4)) * stripe * 0.25, rgb(colour) * 1.18, snow=0.97)


def _path(colour, verge, flowers):
    """The flat strip that actors on the ground use, with a verge above and below."""
    s = Strip(512, 114)
    u = s.waves(118.5, (0.8, 8, 0.0))
    s.paint(cover(s.below(u)), verge, snow=0.95)
    s.paint(cover(s.below(s.waves(122, (0.5, 8, 0.2)))), colour, snow=0.82,
            shade=1.04 - 0.10 * smoothstep(122, 136, s.y))
    s.paint(cover(s.below(s.waves(136, (1.0, 8, 0.6)))), rgb(verge) * 0.92, snow=0.97)
    for i, cx in enumerate(range(16, 512, 64)):
        for dx, height in ((-8, 8), (0, 6), (8, 9)):
            s.paint(cover(segment(s.dx(cx + dx * 0.7), s.y, (0, 146), (dx * 0.4, 146 - height), 2.8)),
                    rgb(verge) * 0.82, snow=0.6)
        if i % 2:
            for dx, height in ((-10, 9), (1, 7), (11, 10)):
                s.paint(cover(circle(s.dx(cx + dx), s.y - 146 + height, 3.6)), flowers[(i // 2) % 2], snow=0.5)
    return s


def _round_tree(s, cx, h, r, colour):
    ground = _height_at(s, h, cx)
    dx, dy = s.dx(cx), s.y - ground + 1.6 * r
    s.paint(cover(box(dx, dy - 1.0 * r, 1.6, 0.9 * r)), "#7a5844", snow=0.2)
    d = smooth_union(circle(dx, dy, r), circle(dx + 0.45 * r, dy + 0.45 * r, 0.62 * r), 4)
    shade = 1.0 - 0.16 * ((dx + dy) / r).clamp(-1.2, 1.2)
    s.paint(cover(d), colour, snow=0.92 * smoothstep(0.5 * r, -0.5 * r, dy + 0.3 * dx), shade=shade)


def _bush(s, cx, h, r, colour):
    dx, dy = s.dx(cx), s.y - _height_at(s, h, cx)
    d = union(circle(dx, dy, r), circle(dx - r, dy - 1, 0.7 * r), circle(dx + r, dy - 1, 0.75 * r))
    s.paint(cover(torch.maximum(d, dy - 3)), colour, snow=0.95 * smoothstep(0.1 * r, -0.7 * r, dy),
            shade=1.0 - 0.14 * ((dx * 0.5 + dy) / r).clamp(-1, 1))


def _height_at(s, h, x):
    return h[0, int(round((x % s.period) * 4)) % (4 * s.period)].item()


def _cottage(s, cx, h, wall, roof):
    dx, dy = s.dx(cx), s.y - _height_at(s, h, cx) - 2
    s.paint(cover(box(dx, dy + 7, 11, 8)), wall, snow=0.1)
    s.paint(cover(polygon(dx, dy, [(-14, -14), (-8, -23), (8, -23), (14, -14)], 0.6)), roof,
            snow=0.95 * smoothstep(-16, -19, dy + 0 * dx))
    for wx in (-5, 5):
        s.paint(cover(box(dx - wx, dy + 7, 3, 3.4, 0.8)), "#6d7f96", lamp=1.0)


def _windmill(s, cx, h):
    dx, dy = s.dx(cx), s.y - _height_at(s, h, cx) - 2
    s.paint(cover(polygon(dx, dy, [(-5, -28), (5, -28), (8, 0), (-8, 0)], 0.6)), "#f4ead8", snow=0.1)
    s.paint(cover(circle(dx, dy + 28, 6)) * (dy < -27), "#b65a4c", snow=0.9)
    for a in range(4):
        angle = math.pi / 4 + a * math.pi / 2
        s.paint(cover(segment(dx, dy + 27, (0, 0), (16 * math.cos(angle), 16 * math.sin(angle)), 2.4)), "#d98f5f",
                snow=0.5)
    s.paint(cover(circle(dx, dy + 27, 3.5)), "#8a5a48", snow=0.3)


# ---- desert


def _desert():
    far = Strip(512, 50)
    far.paint(cover(far.below(far.waves(97, (3, 3, 0.2)))), "#dba184", snow=0.6)
    for cx, w, height in ((60, 46, 30), (130, 30, 20), (318, 56, 38), (388, 34, 22)):
        _pyramid(far, cx, 98, w, height)
    for cx, w, height in ((222, 40, 24), (470, 34, 30)):
        _mesa(far, cx, w, height)
    middle = Strip(512, 82)
    _dune(middle, middle.waves(103, (6, 2, 0.15), (3, 5, 0.5)), "#f0b56c")
    near = Strip(512, 76)
    h = near.waves(113, (4, 3, 0.4), (2, 4, 0.9))
    _dune(near, h, "#eaa455")
    for cx, size in ((50, 1.0), (150, 0.8), (262, 1.1), (350, 0.8), (452, 1.0)):
        _cactus(near, cx, h, size)
    ground = Strip(512, 116)
    u = ground.waves(120, (1.2, 4, 0.3))
    ground.paint(cover(ground.below(u)), "#f8cf8a", snow=0.92, shade=1.05 - 0.16 * smoothstep(120, 144, ground.y))
    ripple = smoothstep(0.2, 0.9,
                        torch.sin((ground.y - 2.5 * torch.sin(ground.x * 2 * math.pi * 8 / 512)) * 2 * math.pi / 9))
    ground.paint(cover(ground.below(u + 5)) * ripple * 0.35, "#e6ab62", snow=0.8)
    return [Layer(far, 1, (0.5, 0.3)), Layer(middle, 2, (0.28, 0.16)), Layer(near, 4, (0.12, 0.06)),
            Layer(ground, 8, (0.0, 0.0))], []


def _pyramid(s, cx, base, w, height):
    dx = s.dx(cx)
    sun = [(-w, base), (0.12 * w, base - height), (0.30 * w, base)]
    dark = [(0.30 * w, base), (0.12 * w, base - height), (w, base)]
    s.paint(cover(polygon(dx, s.y, sun)), "#eebd8c", snow=0.75)
    s.paint(cover(polygon(dx, s.y, dark)), "#bd7f70", snow=0.55)


def _mesa(s, cx, w, height):
    dx = s.dx(cx)
    s.paint(cover(polygon(dx, s.y, [(-w, 100), (-0.62 * w, 98 - height), (0.62 * w, 98 - height), (w, 100)], 1.5)),
            "#cf8468", snow=0.25)
    s.paint(
        cover(polygon(dx, s.y, [(-0.66 * w, 98 - height), (0.66 * w, 98 - height), (0.72 * w, 105 - height),
                                (-0.72 * w, 105 - height)], 1.5)), "#de9c78", snow=0.9)


def _dune(s, h, colour):
    """A dune lit on one side: the lee of each crest is darker."""
    slope = (torch.roll(h, -4, 1) - torch.roll(h, 4, 1)) / 2
    lit = smoothstep(0.10, -0.10, slope)
    s.paint(cover(s.below(h)), colour, snow=0.9, shade=(0.86 + 0.20 * lit) - 0.10 * smoothstep(0, 24, s.y - h))


def _cactus(s, cx, h, k):
    dx, dy = s.dx(cx) / k, (s.y - _height_at(s, h, cx) - 3) / k
    d = union(segment(dx, dy, (0, 0), (0, -26), 4.2), segment(dx, dy, (0, -9), (10, -9), 2.8),
              segment(dx, dy, (10, -9), (10, -18), 2.8),
              segment(dx, dy, (0, -13), (-9, -13), 2.8), segment(dx, dy, (-9, -13), (-9, -22), 2.8))
    s.paint(cover(d * k), "#4c8a5c", snow=0.8 * smoothstep(-12, -24, dy + 0 * dx), shade=1.0 - 0.05 * dx.clamp(-4, 4))


# ---- mountains


def _mountains():
    far = Strip(512, 34)
    for cx, w, height in ((20, 90, 44), (140, 80, 38), (250, 90, 48), (370, 84, 42), (460, 70, 36)):
        _peak(far, cx, 100, w, height, "#a9b9d8", "#93a3c8", 0.36)
    middle = Strip(512, 26)
    for cx, w, height in ((190, 86, 46), (420, 92, 50), (80, 96, 60), (300, 104, 68)):
        _peak(middle, cx, 108, w, height, "#8398b8", "#5f7399", 0.34)
    pines = Strip(512, 70)
    h = pines.waves(112, (2, 3, 0.1), (1.2, 7, 0.5))
    pines.paint(cover(pines.below(h)), "#3f7a68", snow=0.9)
    for i in range(32):
        size = 22 + 8 * math.sin(i * 2.4) + 4 * math.sin(i * 5.1)
        _pine(pines, i * 16 + 3 * math.sin(i * 1.7), h + 3, size, "#2f6a5c" if i % 2 else "#3b7b66")
    return [Layer(far, 1, (0.45, 0.55)), Layer(middle, 2, (0.14, 0.50)), Layer(pines, 4, (0.06, 0.12)),
            Layer(_path("#d9c7a0", "#6fae62", ("#c08be0", "#ffffff")), 8, (0.0, 0.0))], []


def _peak(s, cx, base, w, height, lit, dark, cap):
    """A mountain with a lit and a shaded face and a white cap with a zigzag edge."""
    dx, top = s.dx(cx), base - height
    d = polygon(dx, s.y, [(-w * 0.62, base), (0, top), (w * 0.62, base)])
    ridge = 5 * torch.sin((s.y - top) * 0.16) + 0.05 * (s.y - top)
    face = smoothstep(-1.0, 1.0, dx - ridge)
    line = top + cap * height + 4.0 * torch.asin(torch.sin(dx * 0.42)) / 1.5
    white = smoothstep(1.0, -1.0, s.y - line)
    colour = mix(rgb(lit)[:, None, None], rgb(dark)[:, None, None], face)
    capped = mix(colour, mix(rgb("#ffffff")[:, None, None], rgb("#c9d6ec")[:, None, None], face), white)
    s.paint(cover(d), capped, snow=0.82 * (1 - 0.35 * face))


def _pine(s, cx, h, size, colour):
    dx, dy = s.dx(cx), s.y - _height_at(s, h, cx)
    half = 0.34 * size
    for k, (low, high, width) in enumerate(((0.0, 0.55, 1.0), (0.28, 0.80, 0.80), (0.54, 1.06, 0.60))):
        d = polygon(dx, dy, [(-half * width, -low * size), (0, -high * size), (half * width, -low * size)], 0.8)
        s.paint(cover(d), rgb(colour) * (0.92 + 0.08 * k),
                snow=0.9 * smoothstep(-(low + 0.06) * size, -(low + 0.32) * size, dy + 0 * dx))


# ---- city


def _city():
    far = Strip(512, 34)
    for i in range(16):
        height = 30 + 14 * math.sin(i * 2.3) + 10 * math.sin(i * 4.1 + 1)
        far.paint(cover(box(far.dx(i * 32 + 16), far.y - 112 + 0, 15, height + 12, 1)), "#9aa7c9" if i % 2
                  else "#8d9bc2", snow=0.5 * smoothstep(112 - height - 8, 112 - height - 12, far.y))
    middle = Strip(512, 26)
    colours = ["#e0876a", "#f0d9b5", "#6fa3a8", "#c9a0b8", "#e8b06a", "#8c8fc0", "#d98c8c", "#9fbf9a"]
    x = 0
    for i, (cells, floors) in enumerate(((3, 4), (4, 2), (3, 5), (2, 3), (4, 3), (3, 2), (3, 5), (2, 4), (4, 2), (3, 3),
                                         (3, 4), (4, 1))):
        width = cells * 12 + 8
        _house(middle, x + width / 2, cells, floors, colours[i % 8], i)
        x += width + (512 - 548 + 0) / 12 + 2.9
    near = Strip(512, 82)
    near.paint(cover(near.below(near.waves(114))), "#8a8a9c", snow=0.8)
    for cx in range(30, 512, 128):
        _round_tree(near, cx, near.waves(114), 10, "#5f9f62")
        _lamp_post(near, cx + 64)
    road = Strip(128, 114)
    road.paint(cover(114.5 - road.y + 0 * road.x), "#cfc8c4", snow=0.9)
    road.paint(cover(119.5 - road.y + 0 * road.x), "#5b5a70", snow=0.62,
               shade=1.06 - 0.14 * smoothstep(119, 144, road.y))
    for cx in (16, 80):
        road.paint(cover(box(road.dx(cx), road.y - 135, 14, 2.2, 1)), "#f4e7c3", snow=0.3)
    return [Layer(far, 1, (0.42, 0.62)), Layer(middle, 2, (0.10, 0.26)), Layer(near, 4, (0.03, 0.06)),
            Layer(road, 8, (0.0, 0.0))], []


def _house(s, cx, cells, floors, colour, seed):
    """A block of flats: windows 7 by 8 on a grid of 12 by 14, about half of them lit at night."""
    width, top = cells * 12 + 6, 112 - floors * 14 - 8
    dx, dy = s.dx(cx), s.y - top
    s.paint(cover(box(dx, s.y - (top + 60), width / 2, 60, 1)), colour,
            shade=1.05 - 0.06 * smoothstep(-width / 2, width / 2, dx))
    if seed % 3 == 1:
        s.paint(
            cover(polygon(dx, dy, [(-width / 2 - 2, 0), (-width / 2 + 6, -9), (width / 2 - 6, -9), (width / 2 + 2, 0)],
                          0.5)), rgb(colour) * 0.66, snow=0.96)
    else:
        s.paint(cover(box(dx, dy, width / 2 + 1.5, 2.5, 0.8)), rgb(colour) * 0.72, snow=0.98)
    for i in range(cells):
        for j in range(floors):
            lit = (i * 7 + j * 5 + seed * 3) % 5 < 3
            d = box(dx - (i - (cells - 1) / 2) * 12, dy - 11 - j * 14, 3.4, 4.0, 0.6)
            s.paint(cover(d), mix(rgb(colour), rgb("#44557e"), 0.72), lamp=1.0 if lit else 0.0)


def _lamp_post(s, cx):
    dx = s.dx(cx)
    s.paint(cover(box(dx, s.y - 102, 1.5, 14)), "#4a4a60", snow=0.1)
    s.paint(cover(circle(dx, s.y - 88, 4.5)), "#fdf3d0", lamp=1.0, snow=0.2)


# ---- forest


def _forest():
    far = Strip(512, 40)
    h = far.waves(82, (4, 3, 0.3), (3, 7, 0.1))
    far.paint(cover(far.below(h)), "#86b3a0", snow=0.5)
    for i in range(26):
        _leaf_tree(far, i * 19.7, 112, 46 + 8 * math.sin(i * 2.1), 9.5, "#7fae9c" if i % 2 else "#8cb8a0", "#7d9c90")
    middle = Strip(512, 22)
    middle.paint(cover(middle.below(middle.waves(108, (2, 4, 0.2)))), "#4f8d63", snow=0.92)
    kinds = ["#3f8a63", "#e2a23f", "#57a065", "#2f7760", "#d9783c", "#6fae62", "#3a8068"]
    for i, cx in enumerate((18, 58, 96, 140, 178, 226, 262, 304, 346, 384, 428, 470)):
        _leaf_tree(middle, cx, 112, 66 + 12 * math.sin(i * 2.7), 15 + 2 * math.sin(i * 1.9), kinds[i % 7], "#6d5446")
    near = Strip(512, 92)
    h = near.waves(115, (2, 4, 0.4), (1, 9, 0.1))
    for i, cx in enumerate((14, 80, 100, 196, 280, 300, 390, 470)):
        _bush(near, cx, h + 2, 9 + 2 * math.sin(i * 3.1), "#2f7458" if i % 3 else "#c9873c")
    near.paint(cover(near.below(h)), "#3b7f55", snow=0.95)
    return [Layer(far, 1, (0.50, 0.62)), Layer(middle, 2, (0.12, 0.26)), Layer(near, 4, (0.05, 0.05)),
            Layer(_path("#cfa876", "#4a8f57", ("#e2873f", "#e8b04a")), 8, (0.0, 0.0))], []


def _leaf_tree(s, cx, base, height, r, colour, trunk):
    """A tall tree with a drop-shaped crown."""
    dx, dy = s.dx(cx), s.y - base
    s.paint(cover(polygon(dx, dy, [(-1.6, -0.6 * height), (1.6, -0.6 * height), (3.0, 2), (-3.0, 2)])), trunk,
            snow=0.15)
    cy = -0.52 * height
    d = smooth_union(ellipse(dx, dy - cy, r, 0.30 * height),
                     polygon(dx, dy, [(-0.55 * r, cy - 0.1 * height), (0, -height), (0.55 * r, cy - 0.1 * height)],
                             1.5), 6)
    s.paint(cover(d), colour, shade=1.0 - 0.13 * (dx / r).clamp(-1, 1) - 0.05 * (dy - cy) / height,
            snow=0.9 * smoothstep(cy + 0.05 * height, cy - 0.30 * height, dy + 0.25 * dx))
