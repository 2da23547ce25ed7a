"""Trees, bushes, grass, flowers, reeds and stones, painted on strips in the season's colours."""

import math

import torch

from world_shapes import (box, chance, circle, cover, ellipse, polygon, rgb, segment, smooth_union, smoothstep,
                          union)


def crown_tree(s, season, x, ground, r, colour, key=0, trunk="#7a5844"):
    """A round tree: trunk, scalloped crown, lighter clusters of leaves towards the light."""
    shadow(s, x, ground, 1.1 * r)
    if season.winter:
        return bare_tree(s, x, ground, 2.5 * r, key)
    p = s.part(x, 1.6 * r + 2, 1.6 * r + 2, ground - 3.2 * r, ground + 3)
    dx, dy = p.dx(x), p.y - ground + 1.6 * r
    p.paint(cover(polygon(dx, dy, [(-0.09 * r, 0), (0.09 * r, 0), (0.17 * r, 1.65 * r), (-0.17 * r, 1.65 * r)])),
            trunk, snow=0.2, shade=1.05 - 0.3 * smoothstep(-0.1 * r, 0.15 * r, dx))
    p.paint(cover(segment(dx, dy, (0, 0.8 * r), (0.5 * r, 0.2 * r), 0.05 * r)), trunk, snow=0.2, shade=0.85)
    colour = season.leaf(colour, key)
    turn = 6 * chance(key)
    heads = [(0.72 * r * math.cos(turn + a * 0.785), 0.66 * r * math.sin(turn + a * 0.785), 0.42 * r)
             for a in range(8)]
    d = union(circle(dx, dy, 0.80 * r), *(circle(dx - cx, dy - cy, rr) for cx, cy, rr in heads))
    snow = 0.92 * smoothstep(0.5 * r, -0.5 * r, dy + 0.3 * dx)
    p.paint(cover(d), colour, snow=snow, shade=0.96 - 0.20 * ((dx + 1.2 * dy) / r).clamp(-1.2, 1.2))
    for i in range(6):  # clusters
        angle, far = turn * 2 + i * 1.05, (0.30 + 0.32 * chance(key, i)) * r
        cx, cy = far * math.cos(angle) - 0.12 * r, far * math.sin(angle) - 0.12 * r
        inner = torch.maximum(circle(dx - cx, dy - cy, 0.27 * r), d + 0.05 * r)
        p.paint(0.55 * cover(inner, 1.0), colour, snow=snow, shade=1.14 - 0.26 * smoothstep(-0.3 * r, 0.3 * r, dy - cy))


def bare_tree(s, x, ground, height, key=0):
    """Trunk and branches of a tree in winter, snow on the upper side."""
    p = s.part(x, 0.6 * height, 0.6 * height, ground - 1.1 * height, ground + 2)
    dx, dy = p.dx(x), p.y - ground
    distance = None

    def grow(sx, sy, angle, length, width, depth):
        nonlocal distance
        ex, ey = sx + length * math.sin(angle), sy - length * math.cos(angle)
        d = segment(dx, dy, (sx, sy), (ex, ey), width)
        distance = d if distance is None else torch.minimum(distance, d)
        if depth:
            for side in (-1, 1):
                bend = (0.36 + 0.22 * chance(key, depth, side)) * side
                grow(ex, ey, angle + bend, length * (0.66 + 0.10 * chance(key, depth, side + 5)), width * 0.62,
                     depth - 1)

    grow(0, 1, 0.06 * (chance(key) - 0.5), 0.36 * height, 0.035 * height, 4)
    p.paint(cover(distance), "#6a5148", snow=0.25)
    p.paint(cover(torch.maximum(distance, 0 * dx - 0.2)) * smoothstep(-0.45 * height, -0.8 * height, dy) * 0.75,
            "#f3f7ff",
            snow=0.9)


def bush(s, season, x, ground, r, colour, key=0):
    p = s.part(x, 2.1 * r, 2.1 * r, ground - 2 * r, ground + 4)
    dx, dy = p.dx(x), p.y - ground
    heads = [(0, -0.1, 1), (-0.95, 0, 0.72), (0.95, 0, 0.75), (-0.45, -0.5, 0.6), (0.5, -0.55, 0.55)]
    d = torch.maximum(union(*(circle(dx - a * r, dy - b * r, c * r) for a, b, c in heads)), dy - 3)
    colour = season.leaf(colour, key, 0.8)
    snow = 0.95 * smoothstep(0.1 * r, -0.7 * r, dy)
    p.paint(cover(d), colour, snow=snow, shade=0.94 - 0.2 * ((dx * 0.4 + dy) / r).clamp(-1, 0.6))
    for i in range(5):
        cx, cy = (chance(key, i, 3) - 0.5) * 2 * r, -(0.2 + 0.7 * chance(key, i, 4)) * r
        inner = torch.maximum(circle(dx - cx, dy - cy, 0.3 * r), d + 0.06 * r)
        p.paint(0.5 * cover(inner, 0.9), colour, snow=snow, shade=1.16 - 0.25 * smoothstep(-0.3 * r, 0.3 * r, dy - cy))


def leaf_tree(s, season, x, base, height, r, colour, key=0, trunk="#6d5446"):
    """A tall tree with a drop-shaped crown of overlapping leaves."""
    if season.winter:
        return bare_tree(s, x, base, 0.92 * height, key)
    p = s.part(x, 1.3 * r + 2, 1.3 * r + 2, base - 1.05 * height, base + 3)
    dx, dy = p.dx(x), p.y - base
    p.paint(cover(polygon(dx, dy, [(-1.3, -0.6 * height), (1.3, -0.6 * height), (2.8, 2), (-2.8, 2)])), trunk,
            snow=0.15,
            shade=1.08 - 0.34 * smoothstep(-1.5, 2, dx))
    for side in (-1, 1):
        p.paint(cover(segment(dx, dy, (0, -0.22 * height), (side * 0.5 * r, -0.36 * height), 0.9)), trunk, snow=0.2,
                shade=0.9)
    cy = -0.54 * height
    d = smooth_union(ellipse(dx, dy - cy, r, 0.30 * height),
                     polygon(dx, dy, [(-0.55 * r, cy - 0.1 * height), (0, -height), (0.55 * r, cy - 0.1 * height)],
                             1.2),
                     6)
    lobes = 0.75 * torch.sin((dx * 0.5 + dy) * 0.9 + key) * torch.sin((dx - dy * 0.45) * 0.8 + 2 * key)
    d = d + lobes
    colour = season.leaf(colour, key)
    snow = 0.9 * smoothstep(cy + 0.05 * height, cy - 0.30 * height, dy + 0.25 * dx)
    p.paint(cover(d), colour, shade=0.98 - 0.16 * (dx / r).clamp(-1, 1) - 0.10 * (dy - cy) / (0.4 * height), snow=snow)
    for i in range(9):
        u, v = chance(key, i, 1) - 0.5, chance(key, i, 2)
        px, py = u * 1.3 * r * (0.5 + 0.5 * v), cy + (v - 0.5) * 0.52 * height
        inner = torch.maximum(ellipse(dx - px, dy - py, 0.30 * r, 0.24 * r), d + 0.7)
        p.paint(0.6 * cover(inner, 1.0), colour, snow=snow, shade=1.16 - 0.28 * smoothstep(-0.3 * r, 0.3 * r, dy - py))


def conifer(s, x, ground, size, colour, key=0, tiers=4):
    """A fir of overlapping tiers with jagged hems, darker on the right."""
    p = s.part(x, 0.5 * size, 0.5 * size, ground - 1.1 * size, ground + 2)
    dx, dy = p.dx(x), p.y - ground
    p.paint(cover(box(dx, dy + 0.04 * size, 0.035 * size, 0.08 * size)), "#6a4f42", snow=0.2)
    half = 0.33 * size
    for k in range(tiers):
        low, high = 0.06 + 0.70 * k / tiers, 0.06 + 0.70 * k / tiers + 0.42 - 0.04 * k
        width = half * (1 - 0.72 * k / tiers)
        hem = 0.35 * size * 0.08 * torch.asin(torch.sin(dx * (14 / size) * 2.2 + k + key)) / 1.5
        d = polygon(dx, dy + hem, [(-width, -low * size), (0, -high * size), (width, -low * size)], 0.3)
        p.paint(cover(d), rgb(colour) * (0.90 + 0.07 * k), shade=1.08 - 0.26 * smoothstep(-0.3 * width, 0.5 * width,
                                                                                          dx),
                snow=0.9 * smoothstep(-(low + 0.03) * size, -(low + 0.22) * size, dy - 0.15 * dx.abs()))


def shadow(s, x, ground, half, strength=0.22):
    """A soft shadow on the ground under a tree."""
    p = s.part(x, 2 * half, 2 * half, ground - 2, ground + 5)
    distance = ((p.dx(x) - 0.3 * half) / half) ** 2 + ((p.y - ground - 1) / 1.8) ** 2
    size = (slice(None), p.rows, p.columns) if isinstance(p.columns, slice) else None
    coverage = strength * torch.exp(-distance * distance)
    planes = s.planes
    if size is not None:
        planes[1:7, p.rows, p.columns] *= 1 - coverage
    else:
        planes[1:7, p.rows].index_copy_(2, p.columns, planes[1:7, p.rows].index_select(2, p.columns) * (1 - coverage))


def grass_tufts(s, season, h, spacing, height, colour, key=0):
    """Blades of grass in bunches along the height line (a number or a line)."""
    colour = season.grass(colour)
    for i in range(int(s.period / spacing)):
        x = (i + 0.7 * chance(key, i)) * spacing
        ground = h if not isinstance(h, torch.Tensor) else s.height(h, x)
        p = s.part(x, height + 2, height + 2, ground - 1.5 * height, ground + 1)
        dx, dy = p.dx(x), p.y - ground
        blades = []
        for b in range(4):
            lean, tall = (b - 1.5) * 0.42 + 0.5 * (chance(key, i, b) - 0.5), height * (0.6 + 0.5 * chance(key, b, i))
            foot = (b - 1.5) * 0.9
            blades.append(segment(dx, dy, (foot, 1), (lean * tall, -tall), 0.42 + 0.1 * (dy + tall).clamp(0, 3) - 0.25))
        p.paint(cover(union(*blades)), colour, snow=0.55, shade=0.86 + 0.27 * smoothstep(-3, 3, dx))


def flowers(s, season, low, high, spacing, colours, key=0, r=1.5):
    """Flowers (fallen leaves in autumn) scattered between two rows."""
    colours = season.flower_colours(colours)
    for i in range(int(s.period / spacing) if colours else 0):
        x, y = (i + 0.8 * chance(key, i, 1)) * spacing, low + (high - low) * chance(key, i, 2)
        size = r * (0.75 + 0.5 * (y - low) / max(1e-6, high - low))
        p = s.part(x, 3 * size, 3 * size, y - 3 * size, y + 3 * size)
        dx, dy, colour = p.dx(x), p.y - y, colours[int(len(colours) * chance(key, i, 3))]
        if season.name == "autumn":
            p.paint(cover(ellipse(dx + 0.5 * dy, dy, 1.3 * size, 0.62 * size)), colour, snow=0.6)
            continue
        petals = union(*(circle(dx - 0.8 * size * math.cos(a), dy - 0.62 * size * math.sin(a), 0.62 * size)
                         for a in (0.3, 1.56, 2.8, 4.07, 5.3)))
        p.paint(cover(petals), colour, snow=0.6)
        p.paint(cover(circle(dx, dy, 0.45 * size)), "#f7c948" if colour != "#ffdb4d" else "#e08a2e", snow=0.3)


def rocks(s, x, ground, size, colour, key=0):
    """A group of angular stones, lit from the upper left."""
    for i, (off, k) in enumerate(((0.0, 1.0), (1.1, 0.6), (-0.95, 0.45))):
        cx, r = x + off * size, k * size
        p = s.part(cx, 1.4 * r, 1.4 * r, ground - 1.3 * r, ground + 2)
        dx, dy = p.dx(cx), p.y - ground
        u = chance(key, i) - 0.5
        shape = [(-r, 1), (-0.82 * r, -0.42 * r), (-0.2 * r + u * r, -0.92 * r), (0.55 * r, -0.62 * r), (r, 1)]
        face = [(0.1 * r + 0.5 * u * r, 1), (-0.2 * r + u * r, -0.92 * r), (0.55 * r, -0.62 * r), (r, 1)]
        snow = 0.9 * smoothstep(-0.3 * r, -0.8 * r, dy)
        p.paint(cover(polygon(dx, dy, shape, 0.4)), colour, snow=snow, shade=1.08)
        p.paint(cover(polygon(dx, dy, face)), colour, snow=snow, shade=0.80)


def reeds(s, season, x, ground, height, key=0):
    """A clump of reeds with bulrushes."""
    green = season.grass("#5f9a4a") if not season.winter else rgb("#b79a62")
    if season.name == "autumn":
        green = rgb("#c7a24c")
    p = s.part(x, 16, 16, ground - 1.25 * height, ground + 1)
    dx, dy = p.dx(x), p.y - ground
    for i in range(11):
        foot, lean = (i - 5) * 1.7 + chance(key, i), (chance(key, i, 2) - 0.5) * 0.36
        tall = height * (0.55 + 0.5 * chance(key, i, 3))
        tip = (foot + lean * tall, -tall)
        if i % 3 == 1:
            p.paint(cover(segment(dx, dy, (foot, 1), tip, 0.42)), green, snow=0.3, shade=0.85)
            p.paint(cover(segment(dx, dy, (tip[0] - 0.12 * lean * tall, tip[1] + 0.20 * tall), tip, 1.25)), "#7a4a2c",
                    snow=0.5)
        else:
            blade = polygon(dx, dy, [(foot - 0.8, 1), (foot + 0.8, 1), tip])
            p.paint(cover(blade), green, snow=0.35, shade=0.82 + 0.3 * chance(key, i, 4))


def ferns(s, season, x, ground, size, key=0):
    """A fan of fronds."""
    if season.winter:
        return
    colour = season.grass("#3f8f56")
    p = s.part(x, 1.3 * size, 1.3 * size, ground - 1.2 * size, ground + 1)
    dx, dy = p.dx(x), p.y - ground
    for i in range(7):
        a = (i - 3) * 0.42
        tip = (size * math.sin(a), -size * math.cos(a) * (0.95 - 0.06 * abs(i - 3)))
        bend = (tip[0] * 0.45, tip[1] * 0.62)
        d = union(segment(dx, dy, (0, 0), bend, 0.10 * size), segment(dx, dy, bend, tip, 0.055 * size))
        p.paint(cover(d), colour, snow=0.7, shade=0.85 + 0.05 * i)
