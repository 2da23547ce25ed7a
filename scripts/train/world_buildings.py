"""Houses and other things that people and animals leave in a landscape, painted on strips."""

import math

import torch

from world_shapes import (box, chance, circle, cover, ellipse, mix, polygon, rgb, segment, smoothstep, union)

GLASS = "#5f7391"


def window(p, dx, dy, half_width, half_height, lit=1.0, frame="#fff6e6", glass=GLASS):
    """A window with frame and cross; dx, dy from its centre."""
    p.paint(cover(box(dx, dy, half_width + 0.55, half_height + 0.55, 0.3)), frame, snow=0.1)
    p.paint(cover(box(dx, dy, half_width, half_height, 0.2)), glass, lamp=lit,
            shade=1.1 - 0.3 * smoothstep(-half_height, half_height, dy + 0.4 * dx))
    if half_width > 1.4:
        bars = torch.minimum(dx.abs(), (dy + 0.15 * half_height).abs()) - 0.22
        p.paint(cover(torch.maximum(bars, box(dx, dy, half_width, half_height))), frame, snow=0.1)


def roof(p, dx, dy, points, colour, top, bottom):
    """A tiled roof: rows of tiles, a lighter ridge."""
    d = polygon(dx, dy, points, 0.3)
    rows = smoothstep(-0.5, 0.5, torch.sin((dy - top) * 2 * math.pi / 2.2 + 0.6 * torch.sin(dx * 2.4)))
    p.paint(cover(d), colour, snow=0.95 * smoothstep(bottom + 1, bottom - 3, dy + 0 * dx), shade=0.92 + 0.14 * rows)
    p.paint(cover(torch.maximum(d, (dy - top - 0.2).abs() - 0.5)), rgb(colour) * 1.2, snow=0.98)


def cottage(s, x, ground, k, wall, roof_colour):
    """A cottage with chimney, door and two windows; k: size."""
    p = s.part(x, 17 * k, 17 * k, ground - 30 * k, ground + 2)
    dx, dy = p.dx(x) / k, (p.y - ground) / k
    p.paint(cover(box(dx - 6.5, dy + 22, 1.9, 5) * k), "#a8624e", snow=0.1, shade=1.05 - 0.2 * (dx > 7))
    p.paint(cover(box(dx - 6.5, dy + 26.8, 2.5, 0.8) * k), "#8d4f40", snow=0.9)
    p.paint(cover(box(dx, dy + 7, 11, 8) * k), wall, snow=0.1, shade=1.06 - 0.14 * smoothstep(-10, 11, dx))
    p.paint(cover(box(dx, dy + 0.4, 11, 1.2) * k), rgb(wall) * 0.78, snow=0.6)
    roof(p, dx, dy, [(-14, -13.5), (-8.5, -23), (8.5, -23), (14, -13.5)], roof_colour, -23, -13.5)
    p.paint(cover(box(dx, dy + 13.0, 11, 0.6) * k) * 0.35, "#50405a")
    p.paint(cover(box(dx - 0.2, dy + 3.6, 2.1, 4.4, 0.6) * k), "#7d5236", snow=0.1)
    p.paint(cover(circle(dx - 1.0, dy + 3.4, 0.4) * k), "#f0c25a")
    for wx in (-6.4, 6.2):
        window(p, dx - wx, dy + 7.4, 2.1, 2.5)
        p.paint(cover(box(dx - wx, dy + 4.2, 3, 0.6) * k), "#d86f7f" if wx < 0 else "#e8a24e", snow=0.5)


def church(s, x, ground):
    p = s.part(x, 18, 22, ground - 52, ground + 2)
    dx, dy = p.dx(x), p.y - ground
    p.paint(cover(box(dx - 8, dy + 8, 11, 9)), "#f6ecd9", snow=0.1, shade=1.05 - 0.14 * smoothstep(-4, 19, dx))
    roof(p, dx, dy, [(-5, -16), (0, -25), (16, -25), (21, -16)], "#a8524a", -25, -16)
    for wx in (4, 9, 14):
        window(p, dx - wx, dy + 9, 1.1, 3.0)
    p.paint(cover(box(dx + 6, dy + 15, 5.2, 16)), "#fbf3e4", snow=0.1, shade=1.05 - 0.18 * smoothstep(-12, 0, dx))
    p.paint(cover(polygon(dx + 6, dy, [(-6.4, -30.5), (0, -47), (6.4, -30.5)], 0.2)), "#6f6a8c", snow=0.7,
            shade=1.08 - 0.3 * smoothstep(-2, 2, dx + 6))
    p.paint(cover(union(box(dx + 6, dy + 49.5, 0.4, 3.2), box(dx + 6, dy + 50.3, 1.5, 0.4))), "#e9c15a")
    p.paint(cover(circle(dx + 6, dy + 25.5, 2.5)), "#fffaf0")
    p.paint(cover(circle(dx + 6, dy + 25.5, 2.5).abs() - 0.3), "#b08a4e")
    p.paint(cover(union(segment(dx + 6, dy + 25.5, (0, 0), (0, -1.8), 0.25),
                        segment(dx + 6, dy + 25.5, (0, 0), (1.3, 0.5), 0.25))), "#5c4a3f")
    window(p, dx + 6, dy + 17, 1.4, 2.6)
    p.paint(cover(box(dx + 6, dy + 4.2, 2.2, 5, 1.6)), "#7d5236", snow=0.1)


def windmill(s, x, ground):
    p = s.part(x, 24, 24, ground - 52, ground + 2)
    dx, dy = p.dx(x), p.y - ground
    p.paint(cover(polygon(dx, dy, [(-5, -29), (5, -29), (8, 0), (-8, 0)], 0.5)), "#f4ead8", snow=0.1,
            shade=1.08 - 0.24 * smoothstep(-5, 7, dx))
    p.paint(cover(polygon(dx, dy, [(-6, -28), (-4.5, -34), (0, -36.5), (4.5, -34), (6, -28)], 0.4)), "#b65a4c",
            snow=0.9)
    window(p, dx, dy + 18, 1.5, 2.0)
    p.paint(cover(box(dx, dy + 4.4, 2.2, 4.6, 1.4)), "#7d5236", snow=0.1)
    for a in range(4):
        rx, ry = _turned(dx, dy + 29, math.pi / 4 + a * math.pi / 2)
        frame = box(rx - 2.0, ry + 11.5, 2.0, 8.0)
        bars = torch.minimum((torch.remainder(ry, 2.6) - 1.3).abs(), (rx - 2.0).abs()) - 0.28
        p.paint(0.35 * cover(frame), "#fff3dc", snow=0.4)
        p.paint(cover(torch.maximum(bars, frame)), "#8a5a48", snow=0.4)
        p.paint(cover(segment(rx, ry, (0, 0), (0, -20), 0.6)), "#8a5a48", snow=0.4)
    p.paint(cover(circle(dx, dy + 29, 1.7)), "#6d4638", snow=0.3)


def _turned(x, y, angle):
    c, s = math.cos(angle), math.sin(angle)
    return x * c + y * s, y * c - x * s


def fence(s, left, right, h):
    for x in range(left, right, 8):
        ground = s.height(h, x) + 4
        p = s.part(x, 1.2, 9.2, ground - 9, ground + 1)
        dx, dy = p.dx(x), p.y - ground
        slope = s.height(h, x + 8) + 4 - ground
        for rail in (-5.6, -3.0):
            p.paint(cover(segment(dx, dy, (0, rail), (8, rail + slope), 0.5)), "#b08a5e", snow=0.7)
        p.paint(cover(box(dx, dy + 3.5, 0.8, 4, 0.4)), "#9a744c", snow=0.3)


def sheep(s, x, ground):
    p = s.part(x, 7, 7, ground - 9, ground + 1)
    dx, dy = p.dx(x), p.y - ground
    for lx in (-2.2, -0.8, 1.3, 2.5):
        p.paint(cover(box(dx - lx, dy + 1, 0.4, 1.4)), "#4a4048")
    wool = union(*(circle(dx - a, dy + b, 1.75) for a, b in ((-2, 3.6), (-0.7, 4.4), (0.8, 4.5), (2.1, 3.7), (0, 3.0))))
    p.paint(cover(wool), "#fbf8f0", snow=0.3, shade=1.04 - 0.2 * smoothstep(-5, -1.5, dy))
    p.paint(cover(ellipse(dx - 4.0, dy + 4.4, 1.3, 1.0)), "#4a4048")


def lighthouse(s, x, ground):
    p = s.part(x, 12, 12, ground - 46, ground + 1)
    dx, dy = p.dx(x), p.y - ground
    tower = polygon(dx, dy, [(-3.6, -33), (3.6, -33), (5.6, 0), (-5.6, 0)])
    p.paint(cover(tower), "#f6efe2", snow=0.1, shade=1.06 - 0.24 * smoothstep(-4, 5, dx))
    for low in (-29, -17, -5):
        p.paint(cover(torch.maximum(tower, (dy - low).abs() - 2.6)), "#d9564a", snow=0.1,
                shade=1.06 - 0.24 * smoothstep(-4, 5, dx))
    window(p, dx, dy + 22, 0.9, 1.3)
    window(p, dx, dy + 10, 0.9, 1.3)
    p.paint(cover(box(dx, dy + 33.5, 4.8, 0.8)), "#4d4a5e", snow=0.6)
    p.paint(cover(box(dx, dy + 36.6, 3.0, 2.6, 0.4)), "#ffe9a8", lamp=1.0)
    p.paint(cover((dx.abs() - 1.4).abs() - 0.25) * (dy < -34) * (dy > -39.2), "#4d4a5e")
    p.paint(cover(polygon(dx, dy, [(-3.9, -39), (0, -43), (3.9, -39)], 0.3)), "#c94f45", snow=0.6)
    p.shine(0.55 * torch.exp(-(dx ** 2 + (dy + 36.6) ** 2) / 40))


def chalet(s, x, ground):
    """A log house with a wide roof."""
    p = s.part(x, 17, 17, ground - 25, ground + 2)
    dx, dy = p.dx(x), p.y - ground
    logs = 0.90 + 0.14 * smoothstep(-0.3, 0.3, torch.sin(dy * 2 * math.pi / 2.2))
    p.paint(cover(box(dx, dy + 6, 11, 7.5)), "#a8703f", snow=0.1, shade=logs)
    p.paint(cover(polygon(dx, dy, [(-11, -13), (0, -20.5), (11, -13)])), "#96602f", snow=0.1, shade=logs)
    for side in (-1, 1):
        p.paint(cover(segment(dx, dy, (0, -21.5), (side * 15, -11.2), 1.1)), "#6a4530", snow=0.97)
    window(p, dx + 5.8, dy + 6, 2.0, 2.2)
    window(p, dx - 5.8, dy + 6, 2.0, 2.2)
    window(p, dx, dy + 14.6, 1.4, 1.5)
    p.paint(cover(box(dx, dy + 3.2, 1.9, 4.2, 0.4)), "#5f3f2b")
    p.paint(cover(box(dx, dy + 10.6, 11.6, 0.5)), "#7d5230", snow=0.9)


def tower(s, x, base, half, height, colour, key):
    """A far block with rows of small windows."""
    p = s.part(x, half + 2, half + 2, base - height - 12, base + 1)
    dx, dy = p.dx(x), p.y - base + height
    p.paint(cover(box(dx, p.y - base + height / 2, half, height / 2, 0.4)), colour,
            shade=1.05 - 0.14 * (dx > 0.5 * half),
            snow=0.3 * smoothstep(3, 0, dy))
    if key % 3 == 0:
        p.paint(cover(box(dx, dy + 3, 0.6 * half, 3)), rgb(colour) * 0.94, snow=0.6)
        p.paint(cover(box(dx, dy + 9, 0.35, 4)), rgb(colour) * 0.7)
    cells = int(half / 2.4)
    for i in range(cells):
        for j in range(int((height - 6) / 5.5)):
            if chance(key, i, j) < 0.85:
                p.paint(0.75 * cover(box(dx - (i - (cells - 1) / 2) * 4.4, dy - 5 - 5.5 * j, 1.1, 1.5)),
                        rgb(colour) * 0.80, lamp=1.0 if chance(key, j, i) < 0.42 else 0.0)


def house(s, x, cells, floors, colour, seed):
    """A block of flats with shops below: windows with frames on a grid of 12 by 14, about half of them lit at night."""
    width, top = cells * 12 + 6, 112 - floors * 14 - 8
    p = s.part(x, width / 2 + 3, width / 2 + 3, top - 14, 115)
    dx, dy = p.dx(x), p.y - top
    for i, cx in enumerate((-0.28 * width, 0.30 * width)):
        if (seed + i) % 2:
            p.paint(cover(box(dx - cx, dy + 6, 2.0, 5)), "#a8705e", snow=0.2)
            p.paint(cover(box(dx - cx, dy + 10.8, 2.6, 0.8)), "#7d5046", snow=0.95)
    if seed % 4 == 2:
        p.paint(cover(union(box(dx - 4, dy + 6, 0.35, 6), box(dx - 4, dy + 9, 2.6, 0.35), box(dx - 4, dy + 6.6, 1.8,
                                                                                              0.3))),
                "#5a5468")
    bricks = 1.0 + 0.018 * torch.sign(torch.sin(dy * 2 * math.pi / 3.0))
    p.paint(cover(box(dx, p.y - (top + 60), width / 2, 60, 0.4)), colour,
            shade=(1.06 - 0.10 * smoothstep(-width / 2, width / 2, dx)) * bricks)
    if seed % 3 == 1:
        roof(p, dx, dy, [(-width / 2 - 2, 0), (-width / 2 + 6, -9), (width / 2 - 6, -9), (width / 2 + 2, 0)],
             rgb(colour) * 0.66, -9, 0)
    else:
        p.paint(cover(box(dx, dy, width / 2 + 1.5, 2.0, 0.5)), rgb(colour) * 0.72, snow=0.98)
        p.paint(cover(box(dx, dy - 3.0, width / 2, 0.9)) * 0.35, "#403850")
    for i in range(cells):
        for j in range(floors):
            cx, cy = (i - (cells - 1) / 2) * 12, 11 + j * 14
            if j == floors - 1:
                _shop(p, dx - cx, dy - cy, seed + i)
                continue
            lit = (i * 7 + j * 5 + seed * 3) % 5 < 3
            window(p, dx - cx, dy - cy, 2.9, 3.6, 1.0 if lit else 0.0, mix(rgb(colour), rgb("#fffdf6"), 0.75),
                   mix(rgb(colour), rgb("#44557e"), 0.74))
            p.paint(cover(box(dx - cx, dy - cy - 4.8, 4.2, 0.6)), mix(rgb(colour), rgb("#fffdf6"), 0.55), snow=0.97)
            if (seed + i + j) % 4 == 0:
                p.paint(cover(box(dx - cx, dy - cy - 3.9, 3.4, 0.7, 0.5)), "#6fae62", snow=0.8)


def _shop(p, dx, dy, key):
    """A ground floor: a door or a shop window under an awning."""
    awning = ["#d9574f", "#3f8f8a", "#e0a13c", "#6a6fb8"][key % 4]
    if key % 3 == 0:
        p.paint(cover(box(dx, dy - 3, 2.6, 7, 0.6)), "#6d4a3a", snow=0.1)
        p.paint(cover(box(dx, dy + 0.2, 1.6, 2.4, 0.4)), GLASS, lamp=0.9)
        p.paint(cover(circle(dx - 1.7, dy - 4, 0.4)), "#f0c25a")
        return
    window(p, dx, dy - 1.5, 4.2, 4.0, 1.0, "#fff6e6", "#6f86a0")
    stripes = smoothstep(-0.2, 0.2, torch.sin(dx * 2 * math.pi / 2.4))
    d = polygon(dx, dy, [(-5, -7), (5, -7), (5.8, -3.2), (-5.8, -3.2)])
    p.paint(cover(d), mix(rgb(awning)[:, None, None], rgb("#fff8ea")[:, None, None], stripes), snow=0.85)


def lamp_post(s, x):
    p = s.part(x, 16, 16, 72, 118)
    dx = p.dx(x)
    p.paint(cover(box(dx, p.y - 102, 0.9, 14)), "#3f3f55", snow=0.1)
    p.paint(cover(box(dx, p.y - 115, 1.9, 1.4, 0.4)), "#3f3f55", snow=0.4)
    p.paint(cover(polygon(dx, p.y, [(-3.4, -1 + 86), (3.4, 85), (2.2, 92), (-2.2, 92)], 0.4)), "#fdf3d0", lamp=1.0,
            snow=0.1)
    p.paint(cover(polygon(dx, p.y, [(-4.2, 85), (0, 81.4), (4.2, 85)], 0.3)), "#3f3f55", snow=0.9)
    p.shine(0.60 * torch.exp(-(dx ** 2 + (p.y - 88.5) ** 2) / 45))


def bench(s, x, ground):
    p = s.part(x, 9, 9, ground - 9, ground + 1)
    dx, dy = p.dx(x), p.y - ground
    for lx in (-5, 5):
        p.paint(cover(box(dx - lx, dy + 2, 0.5, 2.4)), "#3f3f55")
    for y in (4.4, 6.4, 7.8):
        p.paint(cover(box(dx, dy + y, 6.6, 0.5, 0.2)), "#a4714a", snow=0.8)


def jetty(s, x, ground):
    p = s.part(x, 2, 26, ground - 5, ground + 4)
    dx, dy = p.dx(x), p.y - ground
    for px in (6, 13, 20):
        p.paint(cover(box(dx - px, dy - 0.5, 0.5, 2.5)), "#6d4f3a")
    p.paint(cover(box(dx - 11, dy + 1.6, 12, 0.7)), "#a07850", snow=0.95)


def mushroom(s, x, ground):
    for off, k in ((0, 1.0), (4.2, 0.65)):
        p = s.part(x + off, 5, 5, ground - 8 * k, ground + 1)
        dx, dy = p.dx(x + off) / k, (p.y - ground) / k
        p.paint(cover(box(dx, dy + 2, 0.9, 2.4, 0.5) * k), "#fbf1de", snow=0.2)
        cap = torch.maximum(ellipse(dx, dy + 4, 3.6, 3.0), dy + 3.6)
        p.paint(cover(cap * k), "#d8402f", snow=0.7, shade=1.1 - 0.25 * smoothstep(-2, 3, dx))
        for a, b in ((-1.5, 5.0), (0.6, 5.8), (1.8, 4.5)):
            p.paint(cover(circle(dx - a, dy + b, 0.55) * k), "#fff8ee", snow=0.2)
