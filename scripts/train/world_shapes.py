"""Shapes and paint: signed distances and layers of premultiplied colour.

Lengths are in elements: a frame is 256 x 144 elements, drawn at SCALE pixels per element. A shape is a function of two
broadcastable tensors x (to the right) and y (down) that returns the signed distance to its edge, negative inside.
`cover` turns a distance into antialiased coverage.
"""

import math

import torch

HEIGHT, WIDTH = 144, 256  # of a frame, in elements
SCALE = 2
ROWS, PIXELS = SCALE * HEIGHT, SCALE * WIDTH  # of a frame, in pixels
SUB = 4  # painted columns per element of a strip
SNOW, SNOW_SHADE = "#f6f9ff", "#93a9d6"  # in the light and in shade


def rgb(colour):
    """A colour as a tensor [3] in [0, 1]; takes "#rrggbb" or a tensor."""
    if isinstance(colour, torch.Tensor):
        return colour
    return torch.tensor([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def mix(a, b, t):
    return a + (b - a) * t


def chance(*keys):
    """A fixed number in [0, 1) that looks random."""
    value = math.sin(sum(k * f for k, f in zip(keys, (12.9898, 78.233, 37.719))) + 1.7) * 43758.5453
    return value - math.floor(value)


def smoothstep(low, high, x):
    u = ((x - low) / (high - low)).clamp(0, 1)
    return u * u * (3 - 2 * u)


def cover(distance, softness=1.2 / SCALE):
    """Coverage in [0, 1] of the inside; the edge is `softness` elements wide."""
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


class Part:
    """Columns and rows of a strip: coordinates and paint.

    planes [8, R, X]: coverage, colour bare and under snow (3 each, premultiplied), lamp light. In a winter strip the
    bare colours are those under snow.
    """

    def __init__(self, strip, rows, columns):
        self.strip, self.rows, self.columns = strip, rows, columns
        self.x, self.y, self.t = strip.x[:, columns], strip.y[rows], strip.t[:, columns]

    def dx(self, x):
        """Signed distance along the strip to position x, the shorter way round."""
        period = self.strip.period
        return torch.remainder(self.x - x + period / 2, period) - period / 2

    def below(self, h):
        """Signed distance to the area below the height line h [1, X] of the strip."""
        slope = (torch.roll(h, -1, 1) - torch.roll(h, 1, 1)) * (SUB / 2)
        return (h[:, self.columns] - self.y) / torch.sqrt(1 + slope * slope)[:, self.columns]

    def paint(self, coverage, colour, snow=0.0, shade=1.0, lamp=0.0):
        """Lay colour over the strip. snow: how white it is in snow (number or plane); shade: brightness plane; lamp:
        own light."""
        shade, snow, lamp = (torch.as_tensor(v, dtype=torch.float32, device=self.x.device)
                             for v in (shade, snow, lamp))
        colour = rgb(colour)
        colour = (colour[:, None, None] if colour.dim() == 1 else colour) * shade
        fallen = mix(rgb(SNOW_SHADE)[:, None, None], rgb(SNOW)[:, None, None], smoothstep(0.70, 1.02, shade))
        white = mix(colour, fallen, snow)
        view = self.strip.planes[:, self.rows]
        indexed = not isinstance(self.columns, slice)
        part = view.index_select(2, self.columns) if indexed else view[:, :, self.columns]
        coverage = torch.as_tensor(coverage).expand(part.shape[1:])
        part[0].lerp_(torch.ones(()).expand_as(coverage), coverage)
        for first, laid in ((1, white if self.strip.winter else colour), (4, white)):
            part[first : first + 3].lerp_(laid.expand(3, *coverage.shape), coverage.expand(3, *coverage.shape))
        part[7].lerp_(lamp.expand_as(coverage), coverage)
        if indexed:
            view.index_copy_(2, self.columns, part)

    def shine(self, light):
        """Adds lamp light [R, X] without paint: a glow."""
        planes = self.strip.planes
        columns = torch.arange(self.strip.x.shape[1])[self.columns] if isinstance(self.columns, slice) else self.columns
        old = planes[7, self.rows].index_select(1, columns)
        planes[7, self.rows].index_copy_(1, columns, old + light * (1 - old))


class Strip(Part):
    """One layer of a panorama: a periodic strip painted at every quarter element, from row `top` down.

    With frames > 1 the strip is a short repeating video. Everything is on the default device.
    """

    def __init__(self, period=512, top=0, frames=1, bottom=HEIGHT, winter=False):
        self.period, self.top, self.frames, self.winter = period, top, frames, winter
        self.strip, self.rows, self.columns = self, slice(None), slice(None)
        self.x = (torch.arange(SUB * period) / SUB + 0.5 / SCALE).repeat(frames)[None]
        self.t = torch.arange(frames).repeat_interleave(SUB * period)[None] / frames
        self.y = (torch.arange(SCALE * top, SCALE * bottom)[:, None] + 0.5) / SCALE
        self.planes = torch.zeros(8, SCALE * (bottom - top), self.x.shape[1])

    def part(self, x, left, right, top=0, bottom=HEIGHT):
        """The columns from x - left to x + right and the rows from top to bottom (in elements); of still strips."""
        assert self.frames == 1
        first, count = math.floor(SUB * (x - left)), math.ceil(SUB * (left + right)) + 1
        if count >= SUB * self.period:
            columns = slice(None)
        else:
            columns = torch.arange(first, first + count) % (SUB * self.period)
        low = min(max(0, math.floor(SCALE * (top - self.top))), len(self.y) - 1)
        high = max(low + 1, min(len(self.y), math.ceil(SCALE * (bottom - self.top))))
        return Part(self, slice(low, high), columns)

    def waves(self, base, *terms):
        """Height line base + sum of amplitude * sin(2 pi (cycles x / period + phase)); cycles are whole numbers."""
        h = torch.full_like(self.x, base)
        for amplitude, cycles, phase in terms:
            h = h + amplitude * torch.sin(2 * math.pi * (cycles * self.x / self.period + phase))
        return h

    def height(self, h, x):
        """The height line's value at x."""
        return h[0, int(round((x % self.period) * SUB)) % (SUB * self.period)].item()

    def table(self):
        """[X, 8, R]: coverage, bare colour, what snow adds to it, lamp light; one row per column of the strip."""
        planes = self.planes.clone()
        planes[4:7] -= planes[1:4]
        return planes.permute(2, 0, 1).contiguous()
