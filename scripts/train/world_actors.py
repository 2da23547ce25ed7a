"""The actors: large silhouettes on videos of 48 frames, painted once and tinted with the clip's colour."""

import math

import torch

from world_shapes import (SCALE, box, circle, cover, ellipse, polygon, rgb, rotate, segment,
                          smooth_union, smoothstep, union)

ACTORS = ["ball", "balloon", "boat", "bird", "car", "train", "kite", "plane", "rabbit", "duck", "lantern"]
COLORS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "white"]
COLOR_VALUES = ["#e5232b", "#fb8416", "#ffdb1f", "#1fa648", "#2257e6", "#7e2fc0", "#ff7fbd", "#f8f8fb"]
FRAMES = 48
GROUND = 127.0
FLOATING = {"boat": 127.0, "duck": 122.0}  # the row in which what swims mirrors itself
AIRBORNE = ["balloon", "bird", "kite", "plane", "lantern"]
# Left, top, right, bottom of the part of the frame that an actor touches.
BOUNDS = {"ball": (94, 32, 162, 135), "balloon": (88, 12, 168, 112), "boat": (78, 28, 178, 136),
          "bird": (70, 10, 186, 100), "car": (80, 82, 216, 138), "train": (72, 44, 194, 138), "kite": (66, 4, 178, 144),
          "plane": (62, 20, 196, 96), "rabbit": (84, 58, 172, 136), "duck": (84, 72, 172, 130),
          "lantern": (96, 18, 160, 108)}


class Sprite:
    """A video of one actor facing right, within its bounds.

    planes [48, H, W]: coverage; tint (times the clip's colour); own colour [3]; own light (lamps); beam of light in
    front; shadow on the ground. `glows` [48, 3]: centre and radius of the light around it.
    """

    def __init__(self, bounds):
        left, top, right, bottom = self.bounds = bounds
        self.t = torch.arange(FRAMES)[:, None, None] / FRAMES
        self.x = (torch.arange(SCALE * left, SCALE * right)[None, None] + 0.5) / SCALE
        self.y = (torch.arange(SCALE * top, SCALE * bottom)[None, :, None] + 0.5) / SCALE
        self.size = (FRAMES, SCALE * (bottom - top), SCALE * (right - left))
        self.planes = torch.zeros(8, *self.size)
        self.glows = torch.zeros(FRAMES, 3)

    def cycle(self, turns, phase=0.0):
        """sin of a motion that repeats `turns` times in 48 frames: [48, 1, 1]."""
        return torch.sin(2 * math.pi * (turns * self.t + phase))

    def tinted(self, coverage, tint=1.0, shine=0.0):
        """Paint with the clip's colour times tint, plus white shine."""
        shine = torch.as_tensor(shine, dtype=torch.float32)
        self._lay(coverage, torch.as_tensor(tint), [shine] * 3, 0.0)

    def painted(self, coverage, colour, lamp=0.0, shade=1.0):
        self._lay(coverage, torch.zeros(()), [c * torch.as_tensor(shade) for c in rgb(colour)], lamp)

    def _lay(self, coverage, tint, own, lamp):
        for plane, value in zip(self.planes[:6], (1.0, tint, *own, lamp)):
            plane += coverage * (value - plane)

    def glow(self, cx, cy, r):
        for i, value in enumerate((cx, cy, r)):
            self.glows[:, i] = torch.as_tensor(value, dtype=torch.float32).flatten().expand(FRAMES)

    def beam(self, light):
        self.planes[6] = torch.maximum(self.planes[6], light)

    def cast(self, cx, half, strength=0.34):
        distance = (((self.x - cx) / half) ** 2 + ((self.y - GROUND - 1.5) / 3.5) ** 2) ** 2
        self.planes[7] = strength * torch.exp(-distance)

    def table(self):
        """[48 * W + 1, 8, H], one row per column; the last one is empty."""
        columns = self.planes.permute(1, 3, 0, 2).flatten(0, 1)
        return torch.cat([columns, torch.zeros_like(columns[:1])]).contiguous()


def paint_actor(name):
    sprite = Sprite(BOUNDS[name])
    {"ball": _ball, "balloon": _balloon, "boat": _boat, "bird": _bird, "car": _car, "train": _train, "kite": _kite,
     "plane": _plane, "rabbit": _rabbit, "duck": _duck, "lantern": _lantern}[name](sprite)
    return sprite


def _ball(s):
    """A beach ball that bounces twice in 48 frames and turns once between two bounces."""
    r = 21.0
    u = torch.remainder(s.t * 2, 1.0)
    height = 4 * u * (1 - u)
    squash = 1 - 0.08 * smoothstep(0.10, 0.0, height)
    cx, cy = 128.0, GROUND - r * squash - 44 * height
    s.cast(cx, 20 - 6 * height, 0.40)
    s.glow(cx, cy, 34)
    dx, dy = (s.x - cx) * squash, (s.y - cy) / squash
    px, py = rotate(dx, dy, 2 * math.pi * s.t)
    angle = torch.atan2(py, px)
    sector = smoothstep(-0.06, 0.06, torch.sin(3 * angle))
    light = 1.08 - 0.30 * smoothstep(-0.6, 1.1, (0.5 * dx + 0.8 * dy) / r)
    d = circle(dx, dy, r)
    shine = 0.45 * torch.exp(-((dx + 7) ** 2 + (dy + 9) ** 2) / 22) + 0.10 * smoothstep(-3.5, -0.8, d)
    s.tinted(cover(d), light * (0.72 + 0.28 * sector), shine)
    seam = torch.maximum((torch.sin(3 * angle) * circle(px, py, 0)).abs() / 3 - 0.35, d)
    s.painted(0.55 * cover(seam), "#fff6e6", shade=light)
    s.painted(cover(circle(px, py, 5)), "#fff6e6", shade=light)
    s.painted(cover(circle(px, py, 5).abs() - 0.4) * 0.5, "#8a7a70")


def _balloon(s):
    cx, cy = 128 + 5 * s.cycle(1, 0.25), 60 + 4 * s.cycle(1)
    s.glow(cx, cy - 6, 36)
    dx, dy = s.x - cx, s.y - cy
    r = 29.0
    d = smooth_union(circle(dx, dy + 12, r), polygon(dx, dy, [(-20, 2), (20, 2), (6.5, 27), (-6.5, 27)], 1.0), 10)
    half = torch.where(dy < -12, torch.sqrt((r * r - (dy + 12) ** 2).clamp(min=16)),
                       (r - (dy + 12) * 0.58).clamp(min=6))
    u = (dx / half).clamp(-1, 1)
    gore = torch.asin(u * 0.98) * 5.0
    stripe = smoothstep(-0.15, 0.15, torch.sin(gore) * torch.sign(u + 1e-6))
    light = 1.08 - 0.32 * smoothstep(-0.7, 1.0, u) - 0.08 * smoothstep(0, 30, dy)
    shine = 0.30 * torch.exp(-((dx + 10) ** 2 / 60 + (dy + 22) ** 2 / 140))
    for side in (-1, -0.35, 0.35, 1):
        s.painted(cover(segment(dx, dy, (side * 6.0, 26), (side * 5.6, 36), 0.4)), "#5b4636")
    s.tinted(cover(d), light * (0.74 + 0.26 * stripe), shine)
    s.tinted(0.35 * cover(torch.maximum(torch.sin(gore).abs() * 2.0 - 0.22, d)), 0.5)
    band = cover(torch.maximum(d, (dy - 5).abs() - 3.4))
    s.painted(band, "#fff3dc", shade=light)
    diamonds = torch.maximum((torch.remainder(gore, 1.0) - 0.5).abs() * 3.0 + (dy - 5).abs() - 1.9, d)
    s.tinted(cover(diamonds), light * 0.9)
    s.painted(cover(torch.maximum(d, (dy - 25.5).abs() - 1.2)), "#7d4e2b")
    basket = box(dx, dy - 40, 7.0, 5.6, 1.6)
    weave = 0.92 + 0.14 * torch.sign(torch.sin(dx * 1.9) * torch.sin((dy - 40) * 2.2))
    s.painted(cover(basket), "#b07a45", shade=weave * (1.05 - 0.25 * smoothstep(34, 46, dy)))
    s.painted(cover(box(dx, dy - 35, 7.8, 1.3, 0.8)), "#7d4e2b")
    s.painted(cover(ellipse(dx, dy - 29.5, 1.6, 2.6)), "#ffd070", lamp=1.0)


def _boat(s):
    """Two sails and a hull, rocking once in 48 frames."""
    cx, cy = 128 + 4 * s.cycle(1, 0.25), 116 + 2.0 * s.cycle(2)
    s.glow(cx, cy - 34, 34)
    dx, dy = rotate(s.x - cx, s.y - cy, 0.055 * s.cycle(1, 0.1))
    s.painted(cover(segment(dx, dy, (1, 2), (1, -72), 1.1)), "#6b4a35")
    for end in ((36, -7), (-33, -7)):
        s.painted(0.8 * cover(segment(dx, dy, (1, -70), end, 0.25)), "#5b4636")
    main = polygon(dx, dy, [(-1.5, -69), (-1.5, -11), (-33, -11), (-16, -40)], 0.6)
    jib = polygon(dx, dy, [(4, -63), (4, -11), (30, -11), (16, -38)], 0.6)
    belly = 0.06 * torch.sin((dy + 11) * 0.05)
    s.tinted(cover(main), 1.06 - 0.22 * smoothstep(-30, 0, dx) + belly)
    s.tinted(cover(jib), 0.88 - 0.12 * smoothstep(0, 30, dx) + belly)
    seams = (torch.remainder(dy + 0.10 * dx, 11.5) - 5.75).abs() - 0.28
    s.painted(0.30 * cover(torch.maximum(seams, torch.minimum(main, jib) + 0.6)), "#40302a")
    s.painted(cover(torch.maximum(main, (dy + 20).abs() - 1.9)), "#fff3dc")
    s.painted(cover(segment(dx, dy, (1, -10), (-33, -10), 0.8)), "#8a5a3a")
    hull = polygon(dx, dy, [(-34, -7), (38, -7), (28, 13), (-26, 13)], 1.0)
    planks = 1.0 - 0.07 * smoothstep(0.6, 1.0, torch.sin(dy * 2 * math.pi / 4.2))
    s.painted(cover(hull), "#7a4a32", shade=(1.12 - 0.30 * smoothstep(-6, 12, dy)) * planks)
    s.tinted(cover(torch.maximum(hull, (dy + 4.3).abs() - 3.4)), 0.94)
    s.painted(cover(torch.maximum(hull, (dy - 0.2).abs() - 0.6)), "#fff3dc")
    for px in (-20, -8, 18, 27):
        s.painted(cover(circle(dx - px, dy - 4.6, 1.7)), "#f0d9a8", lamp=0.8)
        s.painted(cover(circle(dx - px, dy - 4.6, 1.7).abs() - 0.35), "#4b2f22")
    s.tinted(cover(polygon(dx, dy, [(1, -72), (1, -80), (-6, -77.5 + 0 * s.t), (-14, -76)], 0.2)), 0.9)


def _bird(s):
    """A gliding bird with fingered wings: two wing beats in 48 frames."""
    flap = s.cycle(2)
    cx, cy = 128 + 5 * s.cycle(1, 0.25), 58 - 4 * s.cycle(2, 0.20)
    s.glow(cx, cy, 32)
    dx, dy = s.x - cx, s.y - cy
    tip = -30 * flap - 4
    zero = 0 * tip

    def wing(root_left, root_right, base, tip_x, reach):
        outline = [(root_left + zero, base + zero), (tip_x - 4 + zero, tip * reach + base),
                   (tip_x + 2 + zero, tip * reach * 1.02),
                   (tip_x + 12 + zero, tip * 0.62 + base), (root_right + zero, base + zero)]
        return polygon(dx, dy, outline, 1.2)

    far = wing(-6, 14, -3, -16, 0.92)
    s.tinted(cover(far), 0.62)
    tail = union(*(polygon(dx, dy, [(-18, -4 + k), (-43, -9 + 6 * k), (-41, -4.5 + 6 * k), (-18, 3)],
                           0.6) for k in range(3)))
    s.tinted(cover(tail), 0.78)
    s.painted(cover(polygon(dx, dy, [(30, -8), (42, -3.4), (30, -2.8)], 0.5)), "#ffab2e")
    s.painted(cover(polygon(dx, dy, [(30, -2.8), (39, -2.8), (30, 0.6)], 0.5)), "#e8862a")
    body = smooth_union(ellipse(dx + 2, dy, 27, 11), circle(dx - 24, dy + 4, 9.5), 8)
    s.tinted(cover(body), 1.06 - 0.30 * smoothstep(-8, 11, dy),
             0.18 * torch.exp(-((dx - 4) ** 2 / 220 + (dy + 6) ** 2 / 14)))
    s.painted(cover(torch.maximum(ellipse(dx - 6, dy - 7.0, 19, 5.5), body)), "#fff1dd",
              shade=1.0 - 0.1 * smoothstep(4, 11, dy))
    near = wing(-14, 13, 1, -20, 1.0)
    s.tinted(cover(near), 0.90 + 0.08 * flap)
    for k in range(4):
        feather = segment(dx, dy, (-10 + 5.5 * k + zero, 1 + zero), (-21 + 6.5 * k + zero, 1 + tip * (0.90 - 0.15 * k)),
                          0.45)
        s.tinted(0.55 * cover(torch.maximum(feather, near + 0.8)), 0.60)
    s.painted(cover(circle(dx - 27, dy + 6, 3.0)), "#fffdf6")
    s.painted(cover(circle(dx - 27.6, dy + 6, 2.0)), "#1d1a2b")
    s.painted(cover(circle(dx - 28.2, dy + 6.8, 0.7)), "#ffffff")


def _wheel(s, wx, wy, r, tyre, turns, rim="#e9e4da"):
    s.painted(cover(circle(wx, wy, r)), tyre)
    s.painted(cover(circle(wx, wy, 0.64 * r)), rim, shade=0.95)
    px, py = rotate(wx, wy, 2 * math.pi * turns * s.t)
    spokes = torch.minimum(torch.minimum(px.abs(), py.abs()),
                           torch.minimum((px + py).abs(), (px - py).abs()) * 0.7) - 0.45
    s.painted(cover(torch.maximum(spokes, circle(wx, wy, 0.58 * r))), "#7a7682")
    s.painted(cover(circle(wx, wy, 0.18 * r)), "#4a4652")


def _car(s):
    cx, cy = 128 + 5 * s.cycle(1, 0.25), GROUND - 9 + 0.7 * s.cycle(4)
    s.cast(cx, 38)
    s.glow(cx, cy - 12, 34)
    dx, dy = s.x - cx, s.y - cy
    ahead = (dx - 33).clamp(min=0)
    s.beam(1.1 * cover(33 - dx) * torch.exp(-ahead / 26) * torch.exp(-(((dy + 3) / (4 + 0.22 * ahead)) ** 2)))
    cabin = polygon(dx, dy, [(-24, -11), (-16, -28), (9, -28), (19, -11)], 2.2)
    s.tinted(cover(cabin), 1.04 - 0.10 * smoothstep(-22, -28, dy))
    for pts in ([(-18.5, -13), (-13, -25), (-5, -25), (-5, -13)], [(-1.6, -13), (-1.6, -25), (7, -25), (13, -13)]):
        glass = polygon(dx, dy, pts, 0.8)
        s.painted(cover(glass), "#cfeaf7", lamp=0.35, shade=1.02 - 0.28 * smoothstep(-26, -12, dy))
        gleam = torch.maximum((dx + 0.6 * dy - pts[0][0] * 0.5 + 13).abs() - 1.3, glass + 0.6)
        s.painted(0.6 * cover(gleam), "#ffffff")
    body = smooth_union(box(dx, dy + 2.2, 36, 9, 6), ellipse(dx - 22, dy + 5, 15, 8), 4)
    s.tinted(cover(body), 1.05 - 0.32 * smoothstep(-12, 8, dy), 0.20 * torch.exp(-(((dy + 9) / 2.2) ** 2)))
    s.painted(cover(torch.maximum(body, (dy + 1.2).abs() - 1.0)), "#f2ead9")
    for px in (-21.2, -3.2, 15.5):
        s.tinted(0.6 * cover(torch.maximum((dx - px).abs() - 0.3, body + 1.6)), 0.45)
    for px in (-7.5, 10.5):
        s.painted(cover(box(dx - px, dy + 5.0, 1.8, 0.5, 0.4)), "#f4efe4")
    for wheel in (-21, 21):
        arch = torch.maximum(circle(dx - wheel, s.y - (GROUND - 8.5), 11.3), body)
        s.painted(cover(arch), "#242331")
    for px in (-35.5, 35.5):
        s.painted(cover(box(dx - px, dy - 5.6, 2.6, 1.3, 1.0)), "#c9ccd6")
    s.painted(cover(circle(dx - 33, dy + 3.5, 3.6)), "#fff3c4", lamp=1.0)
    s.painted(cover(circle(dx - 33, dy + 3.5, 3.6).abs() - 0.45), "#b9bcc8")
    s.painted(cover(box(dx + 35, dy + 4, 1.3, 2.2, 0.6)), "#ff5a4a", lamp=0.8)
    for wheel in (-21, 21):
        _wheel(s, dx - wheel, s.y - (GROUND - 8.5), 9.0, "#2b2a3a", 2)


def _train(s):
    """A steam engine; its wheels turn twice, and two puffs of steam rise, in 48 frames."""
    cx, cy = 130 + 3 * s.cycle(1, 0.25), GROUND - 10 + 0.6 * s.cycle(4)
    s.cast(cx, 46)
    s.glow(cx, cy - 16, 36)
    dx, dy = s.x - cx, s.y - cy
    for k in range(4):
        age = torch.remainder(s.t * 2 + k / 4, 1.0)
        r, px, py = 3.6 + 6.5 * age, dx - 25 + 58 * age, dy + 46 + 12 * age
        puff = union(circle(px, py, r), circle(px + 0.8 * r, py + 0.3 * r, 0.7 * r),
                     circle(px - 0.7 * r, py + 0.2 * r, 0.65 * r))
        s.painted(0.88 * cover(puff, 1.4) * smoothstep(1.0, 0.6, age), "#fbf6f0",
                  shade=1.02 - 0.14 * smoothstep(-r, r, py))
    s.painted(cover(polygon(dx, dy, [(21.5, -30), (20, -43), (30, -43), (28.5, -30)], 0.8)), "#3a3448",
              shade=1.15 - 0.35 * smoothstep(21, 29, dx))
    s.painted(cover(box(dx - 25, dy + 43, 6.6, 2.0, 0.8)), "#f0c25a")
    boiler = box(dx - 14, dy + 18, 30, 13, 8)
    s.tinted(cover(boiler), 1.08 - 0.38 * smoothstep(-30, -6, dy), 0.24 * torch.exp(-(((dy + 26) / 2.6) ** 2)))
    for px in (4, 24, -8):
        s.painted(cover(torch.maximum(box(dx - px, dy + 18, 1.4, 13), boiler)), "#f0c25a",
                  shade=1.1 - 0.4 * smoothstep(-28, -6, dy))
    for px in (-3, 0, 10, 14, 18, 30, 34):
        s.painted(0.7 * cover(circle(dx - px, dy + 10, 0.6)), "#f6dfa0")
    s.painted(cover(smooth_union(ellipse(dx - 6, dy + 32, 5, 4.5), box(dx - 6, dy + 31, 3.4, 3), 2)), "#f0c25a",
              shade=1.1 - 0.3 * smoothstep(3, 10, dx))
    cab = box(dx + 30, dy + 22, 18, 22, 1.6)
    s.tinted(cover(cab), 0.96 - 0.16 * smoothstep(-40, 0, dy))
    s.painted(cover(torch.maximum(cab, (dy + 17).abs() - 0.8)), "#f0c25a")
    s.tinted(cover(box(dx + 30, dy + 8.5, 14, 5.5, 1)), 0.78)
    for px in (24.5, 35.5):
        s.painted(cover(box(dx + px, dy + 31, 4.6, 6.4, 1.2)), "#cfeaf7", lamp=0.9,
                  shade=1.03 - 0.2 * smoothstep(-36, -26, dy))
        s.painted(cover(box(dx + px, dy + 31, 4.6, 6.4, 1.2).abs() - 0.45), "#f0c25a")
    s.painted(cover(box(dx + 30, dy + 45, 22, 2.4, 1.2)), "#3a3448")
    s.painted(cover(box(dx + 2, dy + 3, 48, 3.4, 0.8)), "#3a3448")
    s.tinted(cover(box(dx + 2, dy + 3, 47, 0.8, 0.4)), 0.9)
    cow = polygon(dx, dy, [(44, -6), (56, 8), (44, 8)], 0.6)
    bars = 0.82 + 0.22 * torch.sign(torch.sin((dx - 0.8 * dy) * 2.0))
    s.painted(cover(cow), "#f0c25a", shade=bars)
    s.painted(cover(circle(dx - 45, dy + 22, 3.8)), "#fff3c4", lamp=1.0)
    s.painted(cover(circle(dx - 45, dy + 22, 3.8).abs() - 0.6), "#c9973c")
    ahead = (dx - 47).clamp(min=0)
    s.beam(0.8 * cover(47 - dx) * torch.exp(-ahead / 16) * torch.exp(-(((dy + 22) / (4 + 0.3 * ahead)) ** 2)))
    for wheel, r in ((-34, 11), (-8, 8), (12, 8), (32, 8)):
        _wheel(s, dx - wheel, s.y - (GROUND - r + 1), r, "#3a3448", 2, "#e8d8b8")
    angle = 2 * math.pi * 2 * s.t
    ox, oy = 4 * torch.cos(angle), 4 * torch.sin(angle)
    rod = box(dx - 12 - ox, s.y - (GROUND - 7) - oy, 22, 0.9, 0.6)
    s.painted(cover(rod), "#c9ccd6")


def _kite(s):
    """A diamond kite on a string; its tail of bows waves twice in 48 frames."""
    cx, cy = 132 + 6 * s.cycle(1, 0.25), 50 + 4 * s.cycle(2)
    s.glow(cx, cy, 34)
    dx0, dy0 = s.x - cx, s.y - cy
    previous = (-15.0 + 0 * s.t, 33.0 + 0 * s.t)
    bows = []
    for k in range(4):
        wave = (1 + k) * s.cycle(2, -0.12 * (k + 1))
        bows.append((-18 - 9 * k + wave, 38 + 10 * k + wave))
        s.painted(cover(segment(dx0, dy0, previous, bows[-1], 0.4)), "#fff3dc")
        previous = bows[-1]
    for tx, ty in bows:
        bx, by = dx0 - tx, dy0 - ty
        bow = union(polygon(bx, by, [(0, 0), (-6.5, -4.4), (-6.5, 4.4)], 0.6),
                    polygon(bx, by, [(0, 0), (6.5, -4.4), (6.5, 4.4)], 0.6))
        s.tinted(cover(bow), 0.86 + 0.14 * smoothstep(3, -3, by))
        s.painted(cover(circle(bx, by, 1.3)), "#fff3dc")
    s.painted(cover(segment(dx0, dy0, (0.0, 0.0), (-58.0, 110.0), 0.45)) * 0.8 * (dy0 > 10), "#fff6e6")
    dx, dy = rotate(dx0, dy0, 0.42 + 0.08 * s.cycle(1))
    d = polygon(dx, dy, [(0, -36), (25, -6), (0, 40), (-25, -6)], 0.8)
    quarter = (smoothstep(-0.4, 0.4, dx) * smoothstep(0.4, -0.4, dy + 6)
               + smoothstep(0.4, -0.4, dx) * smoothstep(-0.4, 0.4, dy + 6))
    s.tinted(cover(d), (0.78 + 0.26 * quarter) * (1.04 - 0.10 * smoothstep(-30, 35, dy)))
    inner = polygon(dx, dy, [(0, -24), (16, -6), (0, 25), (-16, -6)])
    s.painted(0.8 * cover(inner.abs() - 0.7), "#fff3dc")
    s.painted(cover(torch.maximum(d, torch.minimum(dx.abs(), (dy + 6).abs()) - 0.8)), "#fff3dc")
    s.painted(cover(torch.maximum(d, -d - 1.5)), "#fff3dc", shade=0.95)


def _plane(s):
    """A propeller plane with two wings; the propeller turns, the plane rocks once in 48 frames."""
    cx, cy = 128 + 5 * s.cycle(1, 0.25), 58 + 4 * s.cycle(1)
    s.glow(cx, cy, 34)
    dx, dy = rotate(s.x - cx, s.y - cy, 0.05 * s.cycle(1, 0.15) - 0.03)
    s.tinted(cover(polygon(dx, dy, [(-46, -7), (-56, -24), (-45, -24), (-33, -7)], 1.0)), 0.82)
    s.painted(cover(torch.maximum(polygon(dx, dy, [(-46, -7), (-56, -24), (-45, -24), (-33, -7)], 1.0),
                                  (dy + 19).abs() - 1.6)),
              "#fff3dc")
    s.tinted(cover(polygon(dx, dy, [(-12, -11), (14, -11), (10, -15.5), (-16, -15.5)], 0.6)),
             0.62)  # far lower wing's edge
    body = smooth_union(ellipse(dx - 6, dy + 0.5, 38, 10.5),
                        polygon(dx, dy, [(-20, -8), (-54, -6), (-54, -2), (-20, 8)], 1.0), 8)
    s.tinted(cover(body), 1.06 - 0.34 * smoothstep(-9, 10, dy), 0.22 * torch.exp(-(((dy + 6) / 2.2) ** 2)))
    s.painted(cover(torch.maximum(body, (dy - 2.2 + 0.05 * dx).abs() - 1.5)), "#fff3dc")
    s.tinted(cover(polygon(dx, dy, [(-52, -3), (-60, 1.0), (-44, 1.0), (-38, -3)], 0.8)), 0.74)
    cockpit = ellipse(dx - 3, dy + 9.5, 9, 6.5)
    s.painted(cover(torch.maximum(cockpit, dy + 8)), "#cfeaf7", lamp=0.35, shade=1.05 - 0.25 * smoothstep(-16, -8, dy))
    s.painted(cover(circle(dx + 1, dy + 12.5, 3.4)), "#7a4a32")
    s.painted(cover(box(dx - 2, dy + 12.8, 1.8, 0.9, 0.6)), "#2b2a3a")
    nose = torch.maximum(body, 36 - dx)
    s.painted(cover(nose), "#c9ccd6", shade=1.08 - 0.4 * smoothstep(-9, 9, dy))
    for wx in (-9, 17):
        s.painted(cover(segment(dx, dy, (wx, 8), (wx + 1, -23), 0.6)), "#6b4a35")
    for wy, left, right, tint in ((-24.5, -20, 26, 1.0), (7.5, -22, 24, 0.92)):
        wing = box(dx - (left + right) / 2, dy - wy, (right - left) / 2, 2.7, 2.2)
        s.tinted(cover(wing), tint * (1.06 - 0.25 * smoothstep(wy - 2, wy + 2.5, dy)))
        for k in (0, 1):
            edge = left + 3.5 if k == 0 else right - 3.5
            s.painted(cover(torch.maximum(wing, (dx - edge).abs() - 2.0)), "#fff3dc")
    for wx in (4, 18):
        s.painted(cover(segment(dx, dy, (wx + 1, 9), (wx, 19), 0.8)), "#6b4a35")
    for wx in (11,):
        s.painted(cover(circle(dx - wx, dy - 20, 5.2)), "#2b2a3a")
        s.painted(cover(circle(dx - wx, dy - 20, 2.4)), "#e9e4da")
    s.painted(cover(circle(dx - 45, dy - 0.5, 2.8)), "#f0c25a")
    blade = 15 * s.cycle(6).abs() + 2
    s.painted(0.55 * cover(ellipse(dx - 46.5, dy - 0.5, 1.3 + 0 * blade, blade)), "#8d8794")
    s.painted(0.22 * cover(ellipse(dx - 46.5, dy - 0.5, 2.2, 17.0)), "#e9e9f0")


def _rabbit(s):
    """A rabbit that hops twice in 48 frames."""
    u = torch.remainder(s.t * 2, 1.0)
    hop = (torch.sin(math.pi * ((u - 0.25) / 0.75).clamp(0, 1))) ** 1.2
    lean = 0.30 * torch.sin(2 * math.pi * ((u - 0.25) / 0.75).clamp(0, 1))
    cx, cy = 126.0 + 0 * hop, GROUND - 16 - 24 * hop
    s.cast(cx, 26 - 7 * hop, 0.36)
    s.glow(cx, cy, 32)
    dx, dy = rotate(s.x - cx, s.y - cy, -lean)
    stretch = 6 * hop
    ear_swing = 3 - 9 * hop
    for side, tint in ((0, 0.74), (1, 0.96)):
        tip = (12 + 5 * side - ear_swing * -0.9 - 12 * hop, -46 + 10 * hop + 2 * side)
        root = (17 + 3.5 * side + 0 * hop, -22 + 0 * hop)
        s.tinted(cover(segment(dx, dy, root, tip, 3.3)), tint)
        inner = ((root[0] + tip[0]) / 2, (root[1] + tip[1]) / 2)
        s.painted(0.85 * cover(segment(dx, dy, inner, (tip[0] * 0.86 + root[0] * 0.14, tip[1] * 0.86 + root[1] * 0.14),
                                       1.3)), "#ffc9c4")
    s.tinted(cover(segment(dx, dy, (8 + 0 * hop, 6 + 0 * hop), (13 + stretch, 15 - 2 * hop), 3.2)),
             0.70)  # far fore leg
    s.tinted(cover(segment(dx, dy, (-14 + 0 * hop, 8 + 0 * hop), (-20 - 2 * stretch, 14 + 0 * hop), 3.6)), 0.66)
    s.painted(cover(union(circle(dx + 29, dy - 2, 5.2), circle(dx + 31, dy + 1, 3.6))), "#fffaf2",
              shade=1.0 - 0.15 * smoothstep(-2, 6, dy))
    body = smooth_union(ellipse(dx + 8, dy, 21 + 0.3 * stretch, 14), ellipse(dx - 8, dy + 3, 13, 11), 8)
    head = smooth_union(circle(dx - 19, dy + 14, 10.5), ellipse(dx - 26, dy + 11.5, 6.5, 5.5), 4)
    light = 1.07 - 0.34 * smoothstep(-20, 13, dy)
    s.tinted(cover(smooth_union(body, head, 5)), light)
    s.painted(0.9 * cover(torch.maximum(ellipse(dx + 2, dy - 10, 17, 6), body)), "#fff4e4")
    haunch = ellipse(dx + 13, dy - 3.5, 11.5, 10.5)
    s.tinted(cover(haunch), 1.02 - 0.26 * smoothstep(-12, 8, dy))
    s.tinted(0.5 * cover(torch.maximum(haunch.abs() - 0.45, -(dx + 13) - 2)), 0.55)
    s.tinted(cover(segment(dx, dy, (-12 + 0 * hop, 10 + 0 * hop), (-8 - 3.0 * stretch, 14.5 + 0 * hop), 3.0)), 0.92)
    s.tinted(cover(segment(dx, dy, (10 + 0 * hop, 5 + 0 * hop), (17 + stretch, 14.5 - 3 * hop), 3.0)), 0.94)
    s.painted(cover(circle(dx - 22, dy + 17, 2.5)), "#241d2b")
    s.painted(cover(circle(dx - 22.8, dy + 17.9, 0.9)), "#ffffff")
    s.painted(cover(ellipse(dx - 31.6, dy + 13.0, 1.7, 1.3)), "#f08a94")
    s.painted(0.7 * cover(circle(dx - 24, dy + 10, 2.2), 1.5), "#ff9aa8")


def _duck(s):
    """A swimming duck; it bobs twice in 48 frames, with a wake."""
    cx, cy = 127 + 4 * s.cycle(1, 0.25), 112 + 1.6 * s.cycle(2)
    s.glow(cx, cy - 6, 32)
    for k in range(3):
        wave = ellipse(s.x - cx + 12 + 9 * k + 2 * s.cycle(2, 0.1 * k), s.y - 124 - 1.6 * k, 24 - 3 * k, 0.8)
        s.painted(0.55 * cover(wave), "#eef8ff")
    dx, dy = rotate(s.x - cx, s.y - cy, 0.05 * s.cycle(1, 0.1))
    water = cover(s.y - 123.4 - 0.5 * torch.sin((s.x - cx) * 0.5))
    tail = polygon(dx, dy, [(-22, -6), (-37, -15), (-33, -3), (-22, 5)], 1.5)
    body = smooth_union(smooth_union(ellipse(dx + 2, dy - 1, 28, 13), tail, 5), ellipse(dx - 15, dy + 4, 11, 13), 8)
    s.tinted(cover(body) * water, 1.06 - 0.34 * smoothstep(-14, 12, dy))
    s.tinted(cover(smooth_union(segment(dx, dy, (17, -4), (20, -18), 7.0), circle(dx - 21, dy + 22, 11), 5)),
             1.04 - 0.22 * smoothstep(-32, 0, dy),
             0.16 * torch.exp(-((dx - 17) ** 2 + (dy + 28) ** 2) / 16))
    s.painted(cover(torch.maximum(segment(dx, dy, (12, -9), (27, -10.5), 1.5),
                                  segment(dx, dy, (17, -4), (20, -18), 7.3))), "#fff6e6")
    wing = smooth_union(ellipse(dx + 7, dy + 1, 17, 8.5), polygon(dx, dy, [(-14, -4), (-30, -8), (-18, 4)], 1.0), 3)
    s.tinted(cover(wing) * water, 0.86 - 0.10 * smoothstep(-6, 8, dy))
    for k in range(3):
        line = segment(dx, dy, (2 - 5 * k, 3.5 - 1.2 * k), (-20 - 2 * k, 0.5 - 2.6 * k), 0.5)
        s.tinted(0.7 * cover(torch.maximum(line, wing)) * water, 0.58)
    s.painted(cover(smooth_union(ellipse(dx - 34, dy + 20, 6.5, 2.2), ellipse(dx - 35, dy + 18.3, 5.2, 1.6), 1.5)),
              "#ff9a2e")
    s.painted(0.8 * cover(segment(dx, dy, (30, -19.4), (39, -19.6), 0.35)), "#b85e18")
    s.painted(cover(circle(dx - 24, dy + 25, 2.4)), "#201a28")
    s.painted(cover(circle(dx - 24.8, dy + 25.9, 0.9)), "#ffffff")


def _lantern(s):
    """A sky lantern of paper with a flame, rising and swaying."""
    cx, cy = 128 + 6 * s.cycle(1, 0.25), 60 + 5 * s.cycle(1)
    s.glow(cx, cy, 46)
    dx, dy = rotate(s.x - cx, s.y - cy, 0.08 * s.cycle(1, 0.4))
    paper = polygon(dx, dy, [(-20, -30), (-14, -36), (14, -36), (20, -30), (24, -2), (16, 27), (-16, 27), (-24, -2)],
                    2.5)
    ribs = (torch.remainder(dx / (23 - 0.006 * (dy + 4) ** 2).clamp(min=6) * 2.5 + 0.5, 1.0) - 0.5).abs() * 8 - 0.28
    fire = torch.exp(-(dx ** 2 / 160 + (dy - 16) ** 2 / 420))
    s.tinted(cover(paper), 1.04 - 0.26 * smoothstep(4, 24, dx.abs()) - 0.10 * smoothstep(0, -34, dy), 0.30 * fire)
    s.planes[5] += cover(paper) * (0.75 * fire - s.planes[5])
    s.tinted(0.45 * cover(torch.maximum(ribs, paper + 0.5)), 0.55)
    s.painted(0.7 * cover(torch.maximum((dy + 9).abs() - 0.5, paper)), "#fff3dc")
    for side in (-1, 1):
        s.painted(cover(segment(dx, dy, (side * 14, 28), (side * 3, 36), 0.35)), "#6b4a35")
    s.painted(cover(torch.maximum(paper, (dy - 27.5).abs() - 1.5)), "#8a5a3a", lamp=0.5)
    s.painted(cover(box(dx, dy - 36.5, 4.2, 1.4, 0.6)), "#6b4a35")
    flicker = 1 + 0.12 * s.cycle(8)
    s.painted(cover(smooth_union(circle(dx, dy - 32.5, 2.6),
                                 polygon(dx, dy, [(-2, 32 + 0 * flicker), (2, 32 + 0 * flicker),
                                                  (0 * flicker, 33 - 8 * flicker)]), 2)), "#ffd060", lamp=1.0)
