"""Shapes and paint: signed distances (in pixels) and layers of premultiplied colour.

A shape is a function of two broadcastable tensors x (to the right) and y (down) that returns the signed distance to its
edge, negative inside. `cover` turns a distance into antialiased coverage.
"""

import math

import torch

HEIGHT, WIDTH = 144, 256
SNOW, SNOW_SHADE = "#f6f9ff", "#93a9d6"  # in the light and in shade


def rgb(colour):
    """A colour as a tensor [3] in [0, 1]; takes "#rrggbb" or a tensor."""
    if isinstance(colour, torch.Tensor):
        return colour
    return torch.tensor([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def mix(a, b, t):
    return a + (b - a) * t


def smoothstep(low, high, x):
    u = ((x - low) / (high - low)).clamp(0, 1)
    return u * u * (3 - 2 * u)


def cover(distance, softness=1.0):
    """Coverage in [0, 1] of the inside; the edge is `softness` pixels wide."""
    return (0.5 - distance / softness).clamp(0, 1)


def circle(x, y, r):
    return torch.sqrt(x * x + y * y + 1e-6) - r


def ellipse(x, y, a, b):
    """Distance to an ellipse to first order (exact enough for antialiasing)."""
    k0 = torch.sqrt((x / a) ** 2 + (y / b) ** 2 + 1e-6)
    k1 = torch.sqrt((x / (a * a)) ** 2 + (y / (b * b)) ** 2 + 1e-9)
    return k0 * (k0 - 1) / k1


def box(x, y, a, b, r=0.0):
    """Rectangle of half sizes a, b with corners rounded by r."""
    qx, qy = x.abs() - a + r, y.abs() - b + r
    outside = torch.sqrt(qx.clamp(min=0) ** 2 + qy.clamp(min=0) ** 2 + 1e-9)
    return outside + torch.maximum(qx, qy).clamp(max=0) - r


def segment(x, y, start, end, r):
    """Capsule of radius r between two points."""
    (x0, y0), (x1, y1) = start, end
    bx, by = x1 - x0, y1 - y0
    u = (((x - x0) * bx + (y - y0) * by) / (bx * bx + by * by)).clamp(0, 1)
    return circle(x - x0 - u * bx, y - y0 - u * by, r)


def polygon(x, y, points, r=0.0):
    """Exact distance to a closed polygon; coordinates are numbers or tensors that broadcast with x. r rounds the
    corners outwards."""
    nearest, inside = None, None
    for (x1, y1), (x0, y0) in zip(points, points[-1:] + points[:-1]):
        ex, ey, wx, wy = x1 - x0, y1 - y0, x - x0, y - y0
        u = ((wx * ex + wy * ey) / (ex * ex + ey * ey + 1e-9)).clamp(0, 1)
        d = (wx - ex * u) ** 2 + (wy - ey * u) ** 2
        crossing = ((y1 > y) != (y0 > y)) & (x < (x0 - x1) * (y - y1) / (y0 - y1 + 1e-9) + x1)
        nearest = d if nearest is None else torch.minimum(nearest, d)
        inside = crossing if inside is None else inside ^ crossing
    d = torch.sqrt(nearest + 1e-9)
    return torch.where(inside, -d, d) - r


def union(first, *others):
    for other in others:
        first = torch.minimum(first, other)
    return first


def smooth_union(a, b, k):
    h = (k - (a - b).abs()).clamp(min=0) / k
    return torch.minimum(a, b) - h * h * k / 4


def rotate(x, y, angle):
    """Coordinates in a frame turned clockwise (as seen) by angle (number or tensor)."""
    angle = torch.as_tensor(angle)
    c, s = torch.cos(angle), torch.sin(angle)
    return x * c + y * s, y * c - x * s


class Strip:
    """One layer of a panorama: a periodic strip painted at every quarter pixel.

    planes: coverage [R, X], colour bare and under snow [3, R, X] (premultiplied), lamp light [R, X];
    X = frames * 4 * period columns, R = HEIGHT - top rows. With frames > 1 the strip is a short repeating video.
    """

    def __init__(self, period=512, top=0, frames=1, bottom=HEIGHT):
        self.period, self.top, self.frames = period, top, frames
        self.x = (torch.arange(4 * period) / 4 + 0.5).repeat(frames)[None]
        self.t = torch.arange(frames).repeat_interleave(4 * period)[None] / frames
        self.y = torch.arange(top, bottom)[:, None] + 0.5
        size = (bottom - top, self.x.shape[1])
        self.alpha, self.lamp = torch.zeros(size), torch.zeros(size)
        self.bare, self.snowy = torch.zeros(3, *size), torch.zeros(3, *size)

    def dx(self, x):
        """Signed distance along the strip to position x, the shorter way round."""
        return torch.remainder(self.x - x + self.period / 2, self.period) - self.period / 2

    def waves(self, base, *terms):
        """Height line base + sum of amplitude * sin(2 pi (cycles x / period + phase)); cycles are whole numbers."""
        h = torch.full_like(self.x, base)
        for amplitude, cycles, phase in terms:
            h = h + amplitude * torch.sin(2 * math.pi * (cycles * self.x / self.period + phase))
        return h

    def below(self, h):
        """Signed distance to the area below the height line h [1, X]."""
        slope = (torch.roll(h, -1, 1) - torch.roll(h, 1, 1)) * 2
        return (h - self.y) / torch.sqrt(1 + slope * slope)

    def paint(self, coverage, colour, snow=0.0, shade=1.0, lamp=0.0):
        """Lay colour over the strip. snow: how white it is in snow (number or plane); shade: brightness plane; lamp:
        own light."""
        colour = rgb(colour)
        colour = (colour[:, None, None] if colour.dim() == 1 else colour) * torch.as_tensor(shade)
        fallen = mix(rgb(SNOW_SHADE)[:, None, None], rgb(SNOW)[:, None, None],
                     smoothstep(0.70, 1.02, torch.as_tensor(shade)))
        white = mix(colour, fallen, torch.as_tensor(snow))
        self.alpha = mix(self.alpha, torch.ones(()), coverage)
        self.bare, self.snowy = mix(self.bare, colour, coverage), mix(self.snowy, white, coverage)
        self.lamp = mix(self.lamp, torch.as_tensor(lamp), coverage)

    def table(self):
        """[X, 8, R]: coverage, bare colour, what snow adds to it, lamp light; one row per column of the strip."""
        planes = torch.cat([self.alpha[None], self.bare, self.snowy - self.bare, self.lamp[None]])
        return planes.permute(2, 0, 1).contiguous()
