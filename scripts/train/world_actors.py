"""The actors: large simple silhouettes on videos of 48 frames, painted once and tinted with the clip's colour."""

import math

import torch

from world_shapes import (HEIGHT, box, circle, cover, ellipse, mix, polygon, rgb, rotate, segment, smooth_union,
                          smoothstep, union)

ACTORS = ["ball", "balloon", "boat", "bird", "car", "train", "kite"]
COLORS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "white"]
COLOR_VALUES = ["#e5232b", "#fb8416", "#ffdb1f", "#1fa648", "#2257e6", "#7e2fc0", "#ff7fbd", "#f8f8fb"]
FRAMES = 48
LEFT, COLUMNS = 40, 176  # the columns of the frame that an actor may touch
GROUND = 127.0


class Sprite:
    """A video of one actor facing right.

    planes [48, H, COLUMNS]: coverage; tint (times the clip's colour); own colour [3]; own light (lamps); halo; shadow
    on the ground.
    """

    def __init__(self):
        self.t = torch.arange(FRAMES)[:, None, None] / FRAMES
        self.x = torch.arange(LEFT, LEFT + COLUMNS)[None, None] + 0.5
        self.y = torch.arange(HEIGHT)[None, :, None] + 0.5
        size = (FRAMES, HEIGHT, COLUMNS)
        self.alpha, self.tint, self.lamp, self.halo, self.shadow = (torch.zeros(size) for _ in range(5))
        self.own = torch.zeros(3, *size)

    def cycle(self, turns, phase=0.0):
        """sin of a motion that repeats `turns` times in 48 frames: [48, 1, 1]."""
        return torch.sin(2 * math.pi * (turns * self.t + phase))

    def tinted(self, coverage, tint=1.0, shine=0.0):
        """Paint with the clip's colour times tint, plus white shine."""
        self._lay(coverage, torch.as_tensor(tint), torch.as_tensor(shine).expand(3, 1, 1, 1)
                  if not isinstance(shine, torch.Tensor) else shine[None], 0.0)

    def painted(self, coverage, colour, lamp=0.0, shade=1.0):
        self._lay(coverage, torch.zeros(()), rgb(colour)[:, None, None, None] * torch.as_tensor(shade), lamp)

    def _lay(self, coverage, tint, own, lamp):
        self.alpha = mix(self.alpha, torch.ones(()), coverage)
        self.tint = mix(self.tint, tint, coverage)
        self.own = mix(self.own, own, coverage)
        self.lamp = mix(self.lamp, torch.as_tensor(lamp), coverage)

    def glow(self, cx, cy, r):
        self.halo = torch.exp(-((self.x - cx) ** 2 + (self.y - cy) ** 2) / (2 * r * r)).expand(FRAMES, HEIGHT, COLUMNS)

    def cast(self, cx, half, strength=0.34):
        distance = (((self.x - cx) / half) ** 2 + ((self.y - GROUND - 1.5) / 3.5) ** 2) ** 2
        self.shadow = strength * torch.exp(-distance).expand(FRAMES, HEIGHT, COLUMNS)

    def table(self):
        """[48 * COLUMNS, 8, H], one row per column."""
        margin = smoothstep(0, 40, torch.minimum(self.x - LEFT, LEFT + COLUMNS - self.x))
        planes = torch.cat([self.alpha[None], self.tint[None], self.own, self.lamp[None], (self.halo * margin)[None],
                            self.shadow[None]])
        return planes.permute(1, 3, 0, 2).reshape(FRAMES * COLUMNS, 8, HEIGHT).contiguous()


def paint_actor(name):
    sprite = Sprite()
    {"ball": _ball, "balloon": _balloon, "boat": _boat, "bird": _bird, "car": _car, "train": _train,
     "kite": _kite}[name](sprite)
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
    sector = smoothstep(-0.10, 0.10, torch.sin(3 * angle))
    light = 1.06 - 0.22 * smoothstep(-0.6, 1.1, (0.5 * dx + 0.8 * dy) / r)
    shine = 0.5 * torch.exp(-((dx + 7) ** 2 + (dy + 9) ** 2) / 26)
    s.tinted(cover(circle(dx, dy, r)), light * (0.74 + 0.26 * sector), shine)
    s.painted(cover(circle(px, py, 5)), "#fff6e6", shade=light)


def _balloon(s):
    cx, cy = 128 + 5 * s.cycle(1, 0.25), 60 + 4 * s.cycle(1)
    s.glow(cx, cy - 6, 36)
    dx, dy = s.x - cx, s.y - cy
    r = 29.0
    d = smooth_union(circle(dx, dy + 12, r), polygon(dx, dy, [(-20, 2), (20, 2), (6.5, 27), (-6.5, 27)], 1.0), 10)
    half = torch.where(dy < -12, torch.sqrt((r * r - (dy + 12) ** 2).clamp(min=16)),
                       (r - (dy + 12) * 0.58).clamp(min=6))
    u = (dx / half).clamp(-1, 1)
    gore = smoothstep(-0.25, 0.25, torch.sin(torch.asin(u * 0.98) * 5.0 + 0.0) * torch.sign(u + 1e-6) * 1.0)
    light = 1.06 - 0.26 * smoothstep(-0.7, 1.0, u) - 0.08 * smoothstep(0, 30, dy)
    shine = 0.30 * torch.exp(-((dx + 10) ** 2 / 60 + (dy + 22) ** 2 / 140))
    for side in (-1, 1):
        s.painted(cover(segment(dx, dy, (side * 6.0, 26), (side * 5.0, 36), 0.9)), "#5b4636")
    s.tinted(cover(d), light * (0.76 + 0.24 * gore), shine)
    s.painted(cover(d) * cover((dy - 5).abs() - 3.0), "#fff3dc", shade=light)
    s.painted(cover(box(dx, dy - 40, 7.5, 6, 2)), "#a9703f", shade=1.05 - 0.2 * smoothstep(34, 46, dy))
    s.painted(cover(box(dx, dy - 35, 8.2, 1.8, 1)), "#7d4e2b")


def _boat(s):
    """Two sails and a hull, rocking once in 48 frames."""
    cx, cy = 128 + 4 * s.cycle(1, 0.25), 116 + 2.0 * s.cycle(2)
    s.glow(cx, cy - 34, 34)
    dx, dy = rotate(s.x - cx, s.y - cy, 0.055 * s.cycle(1, 0.1))
    s.painted(cover(segment(dx, dy, (1, 2), (1, -70), 1.5)), "#6b4a35")
    main = polygon(dx, dy, [(-1.5, -69), (-1.5, -11), (-33, -11), (-16, -40)], 0.8)
    jib = polygon(dx, dy, [(4, -63), (4, -11), (30, -11), (16, -38)], 0.8)
    s.tinted(cover(main), 1.04 - 0.16 * smoothstep(-30, 0, dx))
    s.tinted(cover(jib), 0.84 - 0.08 * smoothstep(0, 30, dx))
    s.painted(cover(main) * cover((dy + 20).abs() - 2.2), "#fff3dc")
    hull = polygon(dx, dy, [(-34, -7), (38, -7), (28, 13), (-26, 13)], 1.2)
    s.painted(cover(hull), "#7a4a32", shade=1.1 - 0.25 * smoothstep(-6, 12, dy))
    s.tinted(cover(torch.maximum(hull, (dy + 4.5).abs() - 3.5)), 0.92)
    s.painted(cover(polygon(dx, dy, [(1, -71), (1, -79), (-13, -75)], 0.4)), "#fff3dc")


def _bird(s):
    """A gliding bird: two wing beats in 48 frames."""
    flap = s.cycle(2)
    cx, cy = 128 + 5 * s.cycle(1, 0.25), 58 - 4 * s.cycle(2, 0.20)
    s.glow(cx, cy, 32)
    dx, dy = s.x - cx, s.y - cy
    tip = -30 * flap - 4
    far = polygon(dx, dy, [(-6 + 0 * tip, -3 + 0 * tip), (-18 + 0 * tip, tip * 0.92 - 2), (-4 + 0 * tip, tip * 0.6),
                           (14 + 0 * tip, -3 + 0 * tip)], 1.5)
    s.tinted(cover(far), 0.66)
    s.tinted(cover(polygon(dx, dy, [(-18, -4), (-42, -9), (-38, 0), (-43, 8), (-18, 5)], 1.5)), 0.80)
    s.painted(cover(polygon(dx, dy, [(30, -7), (41, -2), (29, 1)], 0.8)), "#ffab2e")
    body = smooth_union(ellipse(dx + 2, dy, 27, 11), circle(dx - 24, dy + 4, 9.5), 8)
    s.tinted(cover(body), 1.05 - 0.24 * smoothstep(-8, 11, dy),
             0.18 * torch.exp(-((dx - 4) ** 2 / 220 + (dy + 6) ** 2 / 14)))
    s.painted(cover(ellipse(dx - 5, dy - 6.5, 16, 4)), "#fff1dd")
    near = polygon(dx, dy, [(-14 + 0 * tip, 1 + 0 * tip), (-22 + 0 * tip, tip + 1), (-8 + 0 * tip, tip * 0.66 + 1),
                            (13 + 0 * tip, 1 + 0 * tip)], 2.0)
    s.tinted(cover(near), 0.86 + 0.08 * flap)
    s.painted(cover(circle(dx - 27, dy + 6, 2.3)), "#1d1a2b")


def _car(s):
    cx, cy = 128 + 5 * s.cycle(1, 0.25), GROUND - 9 + 0.7 * s.cycle(4)
    s.cast(cx, 38)
    s.glow(cx, cy - 12, 34)
    dx, dy = s.x - cx, s.y - cy
    s.halo = s.halo + 1.1 * cover(-(dx - 33)) * torch.exp(-(dx - 33).clamp(min=0) / 26) * torch.exp(
        -(((dy + 3) / (4 + 0.22 * (dx - 33).clamp(min=0))) ** 2))
    cabin = polygon(dx, dy, [(-23, -11), (-15, -28), (9, -28), (19, -11)], 2.5)
    s.tinted(cover(cabin), 1.0)
    for pts in ([(-17.5, -13), (-12, -25), (-4.5, -25), (-4.5, -13)], [(0, -13), (0, -25), (7, -25), (13, -13)]):
        s.painted(cover(polygon(dx, dy, pts, 1.0)), "#cfeaf7", lamp=0.35, shade=1.0 - 0.2 * smoothstep(-26, -12, dy))
    body = box(dx, dy + 3, 36, 11, 7)
    s.tinted(cover(body), 1.04 - 0.26 * smoothstep(-12, 8, dy), 0.16 * torch.exp(-(((dy + 10) / 3) ** 2)))
    s.painted(cover(box(dx, dy - 4.5, 36, 2.2, 2)), "#f2ead9")
    s.painted(cover(circle(dx - 33, dy + 4, 3.8)), "#fff3c4", lamp=1.0)
    for wheel in (-20, 20):
        wx, wy = dx - wheel, s.y - (GROUND - 8.5)
        s.painted(cover(circle(wx, wy, 9.5)), "#2b2a3a")
        px, py = rotate(wx, wy, 2 * math.pi * 2 * s.t)
        hub = 0.62 + 0.38 * smoothstep(-0.3, 0.3, torch.sin(2 * torch.atan2(py, px)))
        s.painted(cover(circle(wx, wy, 5.2)), "#e9e4da", shade=hub)


def _train(s):
    """A steam engine; its wheels turn twice, and two puffs of steam rise, in 48 frames."""
    cx, cy = 130 + 3 * s.cycle(1, 0.25), GROUND - 10 + 0.6 * s.cycle(4)
    s.cast(cx, 46)
    s.glow(cx, cy - 16, 36)
    dx, dy = s.x - cx, s.y - cy
    for k in range(3):
        age = torch.remainder(s.t * 2 + k / 3, 1.0)
        r = 5 + 7 * age
        s.painted(0.85 * cover(circle(dx - 25 + 52 * age, dy + 46 + 18 * age, r), 3) * smoothstep(1.0, 0.6, age),
                  "#fbf6f0")
    s.painted(cover(polygon(dx, dy, [(21, -30), (19, -44), (31, -44), (29, -30)], 1)), "#3a3448")
    s.painted(cover(box(dx - 25, dy + 43, 7, 2.4, 1)), "#f0c25a")
    s.tinted(cover(box(dx - 14, dy + 18, 30, 13, 9)), 1.06 - 0.32 * smoothstep(-30, -6, dy),
             0.2 * torch.exp(-(((dy + 26) / 3.5) ** 2)))
    s.painted(cover(box(dx - 4, dy + 18, 2.2, 13)) + cover(box(dx - 24, dy + 18, 2.2, 13)), "#f0c25a")
    s.painted(cover(circle(dx - 6, dy + 32, 5)), "#f0c25a")
    s.tinted(cover(box(dx + 30, dy + 22, 18, 22, 2)), 0.92 - 0.12 * smoothstep(-40, 0, dy))
    s.painted(cover(box(dx + 30, dy + 31, 9, 7, 1.5)), "#cfeaf7", lamp=0.8)
    s.painted(cover(box(dx + 30, dy + 45, 22, 3, 1.5)), "#3a3448")
    s.painted(cover(box(dx + 2, dy + 3, 48, 4, 1)), "#3a3448")
    s.painted(cover(polygon(dx, dy, [(44, -6), (56, 8), (44, 8)], 0.8)), "#f0c25a")
    s.painted(cover(circle(dx - 45, dy + 22, 4)), "#fff3c4", lamp=1.0)
    for wheel, r in ((-34, 11), (-8, 8), (12, 8), (32, 8)):
        wx, wy = dx - wheel, s.y - (GROUND - r + 1)
        s.painted(cover(circle(wx, wy, r)), "#3a3448")
        px, py = rotate(wx, wy, 2 * math.pi * 2 * s.t)
        spokes = 0.60 + 0.40 * smoothstep(-0.3, 0.3, torch.sin(2 * torch.atan2(py, px)))
        s.painted(cover(circle(wx, wy, r - 3.4)), "#e8d8b8", shade=spokes)


def _kite(s):
    """A diamond kite on a string; its tail of bows waves twice in 48 frames."""
    cx, cy = 132 + 6 * s.cycle(1, 0.25), 50 + 4 * s.cycle(2)
    s.glow(cx, cy, 34)
    dx0, dy0 = s.x - cx, s.y - cy
    for k in range(3):
        tx, ty = -18 - 12 * k, 34 + 11 * k + (2 + 2 * k) * s.cycle(2, -0.12 * (k + 1))
        bx, by = dx0 - tx, dy0 - ty
        s.tinted(
            cover(union(polygon(bx, by, [(0, 0), (-7, -5), (-7, 5)], 0.8),
                        polygon(bx, by, [(0, 0), (7, -5), (7, 5)], 0.8))), 0.85)
    s.painted(cover(segment(dx0, dy0, (0.0, 0.0), (-58.0, 110.0), 1.1)) * 0.75 * (dy0 > 10), "#fff6e6")
    dx, dy = rotate(dx0, dy0, 0.42 + 0.08 * s.cycle(1))
    d = polygon(dx, dy, [(0, -36), (25, -6), (0, 40), (-25, -6)], 1.0)
    quarter = (smoothstep(-0.8, 0.8, dx) * smoothstep(0.8, -0.8, dy + 6)
               + smoothstep(0.8, -0.8, dx) * smoothstep(-0.8, 0.8, dy + 6))
    s.tinted(cover(d), 0.78 + 0.26 * quarter)
    s.painted(cover(torch.maximum(d, torch.minimum(dx.abs(), (dy + 6).abs()) - 1.3)), "#fff3dc")
