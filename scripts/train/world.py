"""A drawn world: endless captioned videos, a pure function of a few clip parameters and the frame index.

Every video is 512x288 at 16 fps. Sky, clouds, layers of landscape, the actors and what falls from the sky are
tables of frame columns, painted once per device; drawing a frame picks columns and lays them over each other.
Everything that moves repeats: the panorama after 512 elements, motions after 12, 24 or 48 frames. On a GPU tables and
frames have 16 bits.
"""

import functools
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor

import torch
import torch.nn.functional as F

from world_actors import ACTORS, AIRBORNE, COLOR_VALUES, COLORS, FLOATING, FRAMES, paint_actor
from world_scenes import HORIZON, SCENES, rails, scene_layers, tones
from world_seasons import SEASONS
from world_shapes import HEIGHT, PIXELS, ROWS, SCALE, SUB, WIDTH, mix, rgb
from world_sky import (CLOUD_ROWS, DRIFT, GLINT_FRAMES, GLINT_ROWS, GLINT_TOP, PAN, PRECIPITATION_FRAMES, TIMES,
                       WEATHER,
                       clouds, drifting, glints, palette, precipitation, skies)

DIRECTIONS = ["left", "right"]
CAMERAS = ["follow", "pan left", "pan right", "zoom in", "zoom out"]
NOBODY = len(ACTORS)  # the second actor of a video with one
STARTS = 8  # camera positions a video may begin from
BLEND_FRAMES = 24
NEVER = 10**9
FIRST_BLOCK, BLOCK = 9, 12  # frames in the first frame block and in each later one
LAMP = "#ffd989"
MOVE_FRAMES = SCALE * PAN  # a camera movement takes so many frames from the first one; a pan moves a pixel a frame
ZOOM, ZOOM_CENTRE = 1.25, (WIDTH / 2, 84)
APART = 56  # elements between the frame's middle and each of two actors
AIR = ["balloon", "bird", "kite", "plane", "lantern"]
PLACES = {"sea": ["boat", "duck", *AIR], "lake": ["boat", "duck", *AIR]}
LAND = ["ball", "car", "train", "rabbit", *AIR]
DRIFTING = ["hills", "mountains", "city", "forest", "lake"]  # scenes with petals and falling leaves
SHADES = {"summer": 0.28, "spring": 0.26, "autumn": 0.26, "winter": 0.20}  # share of videos without snowfall


def actors_of(scene):
    """Names of the actors that may appear in a scene."""
    return PLACES.get(scene, LAND)


# ---- parameters


def sample(n, generator):
    """Parameters of n clips without change: dict of int64 [n] on the CPU.

    Uniform over scene, time, weather, colour, direction, start. In snowfall the season is winter; it does not rain in
    winter. Three videos in ten have two different actors in two colours, the one that comes first in ACTORS on the
    left. Half of the cameras follow alone; those that follow two actors do not pan.
    """

    def draw(k):
        return torch.randint(0, k, (n,), generator=generator)

    def chance():
        return torch.rand(n, generator=generator)

    params = dict(scene=draw(len(SCENES)), time=draw(len(TIMES)), weather=draw(len(WEATHER)), color=draw(len(COLORS)),
                  direction=draw(2), start=draw(STARTS))
    winter, rain, snow = SEASONS.index("winter"), WEATHER.index("rain"), WEATHER.index("snow")
    edges = torch.tensor([SHADES[name] for name in SEASONS]).cumsum(0)
    season = (chance()[:, None] * edges[-1] >= edges).sum(1).clamp(max=len(SEASONS) - 1)
    params["season"] = torch.where(params["weather"] == snow, winter,
                                   torch.where((params["weather"] == rain) & (season == winter), draw(3), season))
    params |= _cast(params["scene"], chance(), chance(), chance() < 0.3)
    params["color2"] = torch.where(params["actor2"] == NOBODY, params["color"],
                                   (params["color"] + 1 + draw(len(COLORS) - 1)) % len(COLORS))
    camera = torch.where(chance() < 0.5, 0, 1 + draw(len(CAMERAS) - 1))
    params["camera"] = torch.where((params["actor2"] != NOBODY) & (camera <= 2), 0, camera)
    never = torch.full((n,), NEVER)
    return params | dict(time2=params["time"].clone(), weather2=params["weather"].clone(), change=never)


def _cast(scenes, first, second, two):
    """One actor or two different ones that fit each scene."""
    actor = torch.zeros_like(scenes)
    other = torch.zeros_like(scenes)
    for index, scene in enumerate(SCENES):
        allowed = torch.tensor([ACTORS.index(a) for a in actors_of(scene)])
        k = len(allowed)
        i = (first * k).long().clamp(max=k - 1)
        j = (i + 1 + (second * (k - 1)).long().clamp(max=k - 2)) % k
        here = scenes == index
        actor, other = torch.where(here, allowed[i], actor), torch.where(here, allowed[j], other)
    return dict(actor=torch.where(two, torch.minimum(actor, other), actor),
                actor2=torch.where(two, torch.maximum(actor, other), NOBODY))


def add_changes(params, probability, generator, first, last):
    """Give a share of the clips another time or weather (or both) from the first frame of a frame block in
    [first, last).

    first, last: int or int64 [n]. Clips without such a frame stay as they are.
    """
    n = len(params["scene"])
    device = params["scene"].device

    def draw(k):
        return torch.randint(0, k, (n,), generator=generator).to(device)

    def blocks_before(frame):
        """Number of frame blocks that begin before a frame."""
        frame = torch.as_tensor(frame, device=device).expand(n)
        return torch.where(frame > 0, 1 + ((frame - FIRST_BLOCK + BLOCK - 1) // BLOCK).clamp(min=0), 0)

    low, high = blocks_before(first), blocks_before(last)
    share = torch.rand(n, generator=generator).to(device)
    block = low + (share * (high - low)).long()
    chosen = (torch.rand(n, generator=generator).to(device) < probability) & (high > low)
    what = draw(3)  # time, weather, both
    time2 = torch.where(what == 1, params["time"], (params["time"] + 1 + draw(len(TIMES) - 1)) % len(TIMES))
    weather2 = torch.where(what == 0, params["weather"],
                           (params["weather"] + 1 + draw(len(WEATHER) - 1)) % len(WEATHER))
    change = torch.where(block > 0, FIRST_BLOCK + BLOCK * (block - 1), 0)
    return params | dict(time2=torch.where(chosen, time2, params["time2"]),
                         weather2=torch.where(chosen, weather2, params["weather2"]),
                         change=torch.where(chosen, change, params["change"]))


def take(params, index):
    return {key: value[index] for key, value in params.items()}


def to(params, device):
    return {key: value.to(device) for key, value in params.items()}


# ---- tables, painted once per device


def _dtype(device):
    """16 bits on a GPU, unless the environment's WORLD_BITS is 32."""
    return torch.float16 if device.type == "cuda" and os.environ.get("WORLD_BITS") != "32" else torch.float32


def _painted(function):
    """Caches what a function of (..., device) paints; it paints on the CPU."""
    stored = {}

    @functools.wraps(function)
    def paint(*arguments):
        if arguments not in stored:
            with torch.no_grad():
                stored[arguments] = _moved(function(*arguments), arguments[-1], _dtype(arguments[-1]))
        return stored[arguments]

    paint.stored = stored
    return paint


def _moved(tables, device, dtype):
    """Nested tensors on a device, those of floats in a dtype."""
    if isinstance(tables, torch.Tensor):
        return tables.to(device, dtype) if tables.is_floating_point() else tables.to(device)
    if isinstance(tables, dict):
        return {key: _moved(value, device, dtype) for key, value in tables.items()}
    return [_moved(value, device, dtype) for value in tables] if isinstance(tables, (list, tuple)) else tables


def _jobs():
    """Every table: (function, arguments but the device)."""
    jobs = [(_actor_table, (i,)) for i in range(len(ACTORS))] + [(_rails_table, (winter,)) for winter in (False, True)]
    jobs += [(_scene_tables, (i, k)) for i in range(len(SCENES)) for k in range(len(SEASONS))]
    return [(_sky_tables, ())] + jobs + [(_drift_table, (SEASONS.index(season),)) for season in DRIFT]


def _paint_to_file(number, folder):
    torch.set_num_threads(1)
    function, arguments = _jobs()[number]
    part = f"{folder}/{number}.{os.getpid()}.part"  # several trainers may paint into one folder
    torch.save(_moved(function(*arguments, torch.device("cpu")), "cpu", torch.float16), part)
    os.replace(part, f"{folder}/{number}.pt")


def paint_to(folder, processes, jobs=None):
    """Paints tables in parallel processes as files of a folder, those that are not there yet."""
    numbers = [k for k in (range(len(_jobs())) if jobs is None else jobs) if not os.path.exists(f"{folder}/{k}.pt")]
    os.makedirs(folder, exist_ok=True)
    if numbers:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            list(pool.map(_paint_to_file, numbers, [folder] * len(numbers)))


def paint_all(device, processes, jobs=None):
    """Paints every table (or those of some `jobs`, by number) in parallel processes; without this each is painted on
    first use. The folder that the environment's WORLD_TABLES names keeps them for the next process."""
    numbers = list(range(len(_jobs())) if jobs is None else jobs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.environ.get("WORLD_TABLES", temporary)
        paint_to(folder, processes, numbers)
        for number in numbers:
            function, arguments = _jobs()[number]
            tables = torch.load(f"{folder}/{number}.pt", weights_only=True)
            function.stored[(*arguments, device)] = _moved(tables, device, _dtype(device))


@_painted
def _sky_tables(device):
    colours = palette()
    fixed = dict(sky=skies(colours).flatten(2).flatten(0, 1), clouds=clouds().flatten(1), falls=precipitation(),
                 glints=glints())
    y, x = (torch.arange(ROWS) + 0.5) / ROWS - 0.5, (torch.arange(PIXELS) + 0.5)[:, None] / PIXELS - 0.5
    fixed["vignette"] = 1 - 0.18 * (x * x * 1.6 + y * y * 1.2)[:, None]
    return colours | fixed


@_painted
def _scene_tables(scene, season, device):
    """Layers behind the actor, layers in front, light factors of each state [16, 3]."""
    back, front = ([_layer_table(layer) for layer in group] for group in scene_layers(SCENES[scene], SEASONS[season]))
    return back, front, tones(SCENES[scene])


@_painted
def _rails_table(winter, device):
    return _layer_table(rails(winter))


@_painted
def _drift_table(season, device):
    return drifting(SEASONS[season])


def _layer_table(layer):
    table = layer.strip.table()
    rows = table.shape[2]
    mist = torch.linspace(0, 1, rows)
    return dict(table=table.flatten(1), top=SCALE * layer.strip.top, rows=rows, frames=layer.strip.frames,
                columns=SUB * layer.strip.period, speed=layer.speed, mist=mix(layer.mist[0], layer.mist[1], mist))


@_painted
def _actor_table(actor, device):
    """The actor's columns [48 * W + 1, 8 * H], its glow [48, 3] and its bounds in pixels."""
    sprite = paint_actor(ACTORS[actor])
    return sprite.table().flatten(1), sprite.glows, [SCALE * b for b in sprite.bounds]


@_painted
def _body_colours(device):
    return torch.stack([rgb(c) for c in COLOR_VALUES])


# ---- drawing


def _mixed(values, clip):
    """Palette entries [16, C] for each frame, blended over the change: [n, T, 1, C, 1]."""
    v = mix(values[clip["state"]][:, None], values[clip["state2"]][:, None], clip["blend"][..., None])
    return v[:, :, None, :, None]


def _scroll(columns, speed, frames, clip):
    """Column index [n, T, W] of a strip that scrolls `speed` quarter elements a frame."""
    sign = clip["direction"] * 2 - 1
    offset = (clip["start"] * (columns // STARTS))[:, None] + (sign * speed)[:, None] * clip["frame"]
    x = torch.arange(PIXELS, device=offset.device) - clip["pan"][..., None]
    return (offset[..., None] + SUB // SCALE * x) % columns + (clip["frame"] % frames)[..., None] * columns


def _sky_index(clip):
    """Column index [n, T, W] of what is painted PAN elements wider than the frame."""
    return SCALE * PAN + torch.arange(PIXELS, device=clip["pan"].device) - clip["pan"][..., None]


def _states(clip):
    """(key of the state, share) before and after the change; one of them where nothing changes."""
    if not clip["changing"]:
        return [("", None)]
    return [("", 1 - clip["blend"]), ("2", clip["blend"])]


def _weighted(parts):
    """Sum of share times value; shares [n, T] or None."""
    total = None
    for value, share in parts:
        value = value if share is None else value * share.view(*share.shape, *[1] * (value.dim() - 2))
        total = value if total is None else total + value
    return total


def _draw_sky(clip, tables):
    n, t = clip["frame"].shape
    index, width = _sky_index(clip), PIXELS + 2 * SCALE * PAN
    sky = _weighted([(F.embedding(index + clip["state" + k][:, None, None] * width, tables["sky"]), share)
                     for k, share in _states(clip)]).view(n, t, PIXELS, 3, ROWS)
    columns = SUB * 512
    index = _scroll(columns, 1, 1, clip)
    lit, shaded = _mixed(tables["lit"], clip), _mixed(tables["shaded"], clip)
    cover = _weighted([(F.embedding(index + clip["weather" + k][:, None, None] * columns, tables["clouds"]), share)
                       for k, share in _states(clip)]).view(n, t, PIXELS, 3, -1)
    coverage, light, dark = cover.split(1, 3)
    part = sky[..., : SCALE * CLOUD_ROWS]
    part *= 1 - coverage
    part += coverage * shaded + light * (lit - shaded)
    part *= 1 - 0.75 * dark
    return sky


def _draw_layer(frame, layer, clip, colours):
    n, t = clip["frame"].shape
    index = _scroll(layer["columns"], layer["speed"], layer["frames"], clip)
    planes = F.embedding(index, layer["table"]).view(n, t, PIXELS, 8, layer["rows"])
    alpha, bare, whiter, lamp = planes.split([1, 3, 3, 1], 3)
    if clip["snowy"]:
        bare = bare + colours["snow"] * whiter
    mist = (layer["mist"] * colours["fog"]).clamp(0, 0.85)
    part = frame[..., layer["top"] : layer["top"] + layer["rows"]]
    part *= 1 - alpha
    part += bare * (colours["light"] * (1 - mist)) + (alpha * mist) * colours["haze"]
    lamp = lamp * colours["lamps"]
    part += lamp * (colours["lamp"] - part)


def _draw_glint(frame, clip, tables):
    """Sun or moon on the water."""
    n, t = clip["frame"].shape
    index, width = _sky_index(clip), PIXELS + 2 * SCALE * PAN
    phase = (clip["frame"] % GLINT_FRAMES)[..., None] * width
    part = frame[..., SCALE * GLINT_TOP : SCALE * (GLINT_TOP + GLINT_ROWS)]
    for k, share in _states(clip):
        time = (clip["state" + k] // len(WEATHER))[:, None, None] * (GLINT_FRAMES * width)
        light = F.embedding(index + phase + time, tables["glints"].flatten(0, 1))[..., None, :]
        light = light if share is None else light * share[..., None, None, None]
        part += light * (tables["sun"] * tables["clear"])[clip["state" + k]][:, None, None, :, None]
    part.clamp_(0, 1)


def _mirror(frame, row, share, tint):
    """What lies above a row (pixels), upside down below it, a little wavy; share [n, T, 1, 1, 1] or a number."""
    k = torch.arange(ROWS - row, device=frame.device)
    wave = (torch.sin(k * 0.9) * (1 + k / 40)).round().long()
    source = (row - 1 - k + wave).clamp(0, row - 1)
    part = frame[..., row:]
    part += share * (frame[..., source] * tint - part)


def _actor_planes(clip, actor, shift):
    """The video of an actor that all clips have: first column, planes [n, T, columns, 8, H], first row.

    shift [n, T]: pixels to the right of the middle."""
    table, _, (left, top, right, bottom) = _actor_table(actor, clip["frame"].device)
    n, t = clip["frame"].shape
    facing = clip["direction"][:, None] == 1
    begin = torch.where(facing, left, PIXELS - right) + shift
    low, high = max(0, int(begin.min())), min(PIXELS, int(begin.max()) + right - left)
    column = torch.arange(low, high, device=begin.device) - begin[..., None]
    column = torch.where(facing[..., None], column, right - left - 1 - column)
    index = (clip["frame"] % FRAMES)[..., None] * (right - left) + column
    index = torch.where((column >= 0) & (column < right - left), index, len(table) - 1)
    return low, F.embedding(index, table).view(n, t, high - low, 8, bottom - top), top


def _cast_of(clip):
    """(actor, indices of its clips, shift in pixels [n, T], key of its colour), the left one of two first."""
    two = clip["actor2"] != NOBODY
    for key, side in (("", -1), ("2", 1)):
        shown = torch.ones_like(two) if key == "" else two
        for actor in clip["actor" + key][shown].unique().tolist():
            same = (shown & (clip["actor" + key] == actor)).nonzero().flatten()
            shift = clip["pan"][same] + (side * SCALE * APART * two[same].long())[:, None]
            yield actor, same, shift, "color" + key


def _draw_actors(frame, clip, colours, names=ACTORS, rails_too=True):
    for actor, same, shift, color in _cast_of(clip):
        if ACTORS[actor] not in names:
            continue
        some = _select(clip, same)
        light = {k: v[same] if v.dim() == 5 else v for k, v in colours.items()}
        part = frame[same]
        if ACTORS[actor] == "train" and rails_too:
            _draw_layer(part, _rails_table(SEASONS[int(clip["season"][0])] == "winter", frame.device), some, light)
        _draw_actor(part, some, light, actor, shift, _body_colours(frame.device)[some[color]])
        frame[same] = part


def _draw_actor(frame, clip, colours, actor, shift, body):
    low, planes, top = _actor_planes(clip, actor, shift)
    if not planes.shape[2]:
        return
    rows, body = planes.shape[4], body[:, None, None, :, None]
    if clip["glowing"]:
        _draw_glow(frame, clip, colours, actor, shift)
    if SCENES[int(clip["scene"][0])] == "lake" and ACTORS[actor] in FLOATING:
        line = int(SCALE * FLOATING[ACTORS[actor]])
        seen = min(ROWS - line, line - top)
        image = planes[..., line - top - seen : line - top].flip(-1)
        fade = torch.linspace(0.50, 0.15, seen, dtype=frame.dtype, device=frame.device)
        _lay_actor(frame[:, :, low : low + planes.shape[2], :, line : line + seen], image * fade, body, colours)
    _lay_actor(frame[:, :, low : low + planes.shape[2], :, top : top + rows], planes, body, colours)


def _lay_actor(part, planes, body, colours):
    alpha, tint, own, lamp, beam, shadow = planes.split([1, 1, 3, 1, 1, 1], 3)
    part *= 1 - shadow
    part += beam * (1.6 * colours["glow"]) * (colours["lamp"] - part)
    part *= 1 - alpha
    lamp = lamp * colours["lamps"]
    part += (tint * body + own) * (colours["actor"] + 0.45 * lamp) + 0.14 * lamp
    part.clamp_(0, 1)


def _draw_glow(frame, clip, colours, actor, shift):
    """The light around an actor in the dark."""
    glow = _actor_table(actor, frame.device)[1][clip["frame"] % FRAMES]  # [n, T, 3]
    facing = (clip["direction"][:, None] == 1)
    x = torch.where(facing, glow[..., 0], WIDTH - glow[..., 0]) + shift / SCALE

    def bell(count, centre):
        d = (torch.arange(count, device=frame.device) + 0.5) / SCALE - centre[..., None]
        return torch.exp(-d * d / (2 * glow[..., 2:] ** 2)).to(frame.dtype)

    halo = bell(PIXELS, x)[..., None, None] * bell(ROWS, glow[..., 1])[:, :, None, None]
    frame += halo * colours["glow"] * (colours["lamp"] - frame)


def _draw_falls(frame, clip, tables, colours):
    """Rain and snow, on frames [n, T, 3, H, W]."""
    phase = clip["frame"] % PRECIPITATION_FRAMES
    coverage = _weighted([(tables["falls"][phase + (clip["weather" + k] * PRECIPITATION_FRAMES)[:, None]], share)
                          for k, share in _states(clip)]).transpose(2, 3)[:, :, None]
    frame += coverage * (colours["drops"].transpose(2, 3).flatten(3)[..., None] - frame)


def _draw_drift(frame, clip, colours, season):
    """Petals or leaves in dry weather."""
    dry = _weighted([((clip["weather" + k] < 2).to(frame.dtype)[:, None].expand(clip["frame"].shape), share)
                     for k, share in _states(clip)])[..., None, None, None]
    table = _drift_table(season, frame.device)
    video = table[clip["frame"] % PRECIPITATION_FRAMES]  # [n, T, W, 4, H]
    frame *= 1 - video[..., 3:, :] * dry
    frame += video[..., :3, :] * dry * colours["light"].clamp(max=1)


def _magnified(frame, zoom):
    """Frames [n, T, C, H, W], each magnified by zoom [n, T] about ZOOM_CENTRE."""
    y, x = (torch.arange(k, device=frame.device) + 0.5 for k in frame.shape[-2:])
    cx, cy = ZOOM_CENTRE[0] * frame.shape[-1] / WIDTH, ZOOM_CENTRE[1] * frame.shape[-2] / HEIGHT
    zoom = zoom.flatten()[:, None]
    gx = (2 * (cx + (x - cx) / zoom) / len(x) - 1)[:, None].expand(-1, len(y), -1)
    gy = (2 * (cy + (y - cy) / zoom) / len(y) - 1)[..., None].expand(-1, -1, len(x))
    large = F.grid_sample(frame.flatten(0, 1).float(), torch.stack([gx, gy], -1).float(), "bicubic", "border",
                          align_corners=False)
    return large.clamp(0, 1).view(frame.shape).to(frame.dtype)


def _through_lens(frame):
    """A slight low-pass, (1, 8, 1) / 10 along rows and columns: no detail is harder than a camera would show it."""
    for axis in (-1, -2):
        count = frame.shape[axis]
        before, after = (frame.narrow(axis, i, count - 1) for i in (0, 1))
        step = (after - before) * 0.1
        frame.narrow(axis, 0, count - 1).add_(step)
        frame.narrow(axis, 1, count - 1).sub_(step)
    return frame


def _clip(params, first_frame, frames):
    device = params["scene"].device
    frame = first_frame.to(device)[:, None] + torch.arange(frames, device=device)
    clip = dict(params, frame=frame, state=params["time"] * 4 + params["weather"],
                state2=params["time2"] * 4 + params["weather2"])
    u = ((frame - params["change"][:, None] + 1) / BLEND_FRAMES).clamp(0, 1)
    clip["blend"] = (u * u * (3 - 2 * u)).to(_dtype(device))
    moved, camera = frame.clamp(0, MOVE_FRAMES), params["camera"][:, None]
    clip["pan"] = torch.where(camera == 1, moved, torch.where(camera == 2, -moved, 0))
    near = moved * ((ZOOM - 1) / MOVE_FRAMES)
    clip["zoom"] = torch.where(camera == 3, 1 + near, torch.where(camera == 4, ZOOM - near, 1.0))
    return clip


def _select(clip, index):
    return {key: value[index] if isinstance(value, torch.Tensor) else value for key, value in clip.items()}


def _draw(clip):
    """All clips have one scene and one season; returns [n, T, 3, H, W]."""
    device = clip["frame"].device
    tables = _sky_tables(device)
    scene, season = int(clip["scene"][0]), int(clip["season"][0])
    name = SCENES[scene]
    clip["changing"] = bool((clip["blend"] > 0).any())
    clip["snowy"] = bool(((clip["weather"] == 3) | (clip["weather2"] == 3)).any())
    clip["glowing"] = bool(((clip["time"] != 1) | (clip["time2"] != 1)).any())
    wet = bool((torch.stack([clip["weather"], clip["weather2"]]) >= 2).any())
    names = ("light", "haze", "fog", "snow", "lamps", "glow", "actor", "drops")
    colours = {key: _mixed(tables[key], clip) for key in names}
    colours["lamp"] = rgb(LAMP).to(tables["sky"])[:, None]
    back, front, tone = _scene_tables(scene, season, device)
    colours["light"] = colours["light"] * _mixed(tone, clip)
    frame = _draw_sky(clip, tables)
    for i, layer in enumerate(back):
        if name == "lake" and i == 2:  # land is drawn, water comes
            _draw_actors(frame, clip, colours, AIRBORNE)
            _mirror(frame, SCALE * HORIZON[name], 1.0, torch.tensor([[0.74], [0.83], [0.90]]).to(frame))
        _draw_layer(frame, layer, clip, colours)
    if name == "city" and wet:
        rain = _weighted([((clip["weather" + k] == 2).to(frame.dtype)[:, None].expand(clip["frame"].shape), share)
                          for k, share in _states(clip)])
        _mirror(frame, SCALE * HORIZON[name] + 12, 0.38 * rain[..., None, None, None], torch.ones(3, 1).to(frame))
    if name in ("sea", "lake"):
        _draw_glint(frame, clip, tables)
    _draw_actors(frame, clip, colours)
    for layer in front:
        _draw_layer(frame, layer, clip, colours)
    if name in DRIFTING and SEASONS[season] in DRIFT:
        _draw_drift(frame, clip, colours, season)
    frame = frame.permute(0, 1, 3, 4, 2).contiguous()
    near = (clip["camera"] >= 3).nonzero().flatten()
    if len(near):
        frame[near] = _magnified(frame[near], clip["zoom"][near])
    if wet:
        _draw_falls(frame, clip, tables, colours)
    return _through_lens(frame).mul_(tables["vignette"].permute(1, 2, 0)).clamp_(0, 1)


def _groups(params, frames, limit=400):
    """Index tensors of clips of one scene and season, small enough that a group has at most about `limit` frames."""
    size = max(1, limit // frames)
    key = params["scene"] * len(SEASONS) + params["season"]
    for value in key.unique().tolist():
        yield from (key == value).nonzero().flatten().split(size)


def _rendered(params, first_frame, frames):
    """Groups of clips: indices and frames [n, frames, 3, 288, 512]."""
    first_frame = first_frame.to(params["scene"].device)
    for index in _groups(params, frames):
        yield index, _draw(_clip(take(params, index), first_frame[index], frames))


@torch.no_grad()
def render(params, first_frame, frames):
    """Frames first_frame[i] to first_frame[i] + frames - 1 of each clip: [n, frames, 3, 288, 512] in [0, 1], float16 on
    a GPU, else float32."""
    device = params["scene"].device
    result = torch.empty(len(params["scene"]), frames, 3, ROWS, PIXELS, device=device, dtype=_dtype(device))
    for index, drawn in _rendered(params, first_frame, frames):
        result[index] = drawn
    return result


@torch.no_grad()
def render_halved(params, first_frame, frames):
    """The same at 256x144, each pixel the mean of four: what the encoder is given."""
    device = params["scene"].device
    result = torch.empty(len(params["scene"]), frames, 3, ROWS // 2, PIXELS // 2, device=device, dtype=_dtype(device))
    for index, drawn in _rendered(params, first_frame, frames):
        result[index] = halved(drawn)
    return result


def halved(frames):
    """Means over 2 x 2 pixels of [n, T, C, H, W]."""
    return F.avg_pool2d(frames.flatten(0, 1), 2).unflatten(0, frames.shape[:2])


@torch.no_grad()
def actor_mask(params, first_frame, frames):
    """Soft coverage of the actors: [n, frames, 288, 512] in [0, 1]."""
    device = params["scene"].device
    result = torch.zeros(len(params["scene"]), frames, ROWS, PIXELS, device=device, dtype=_dtype(device))
    for index in torch.arange(len(result), device=device).split(max(1, 1600 // frames)):
        clip, part = _clip(take(params, index), first_frame.to(device)[index], frames), result[index]
        for actor, same, shift, _ in _cast_of(clip):
            low, planes, top = _actor_planes(_select(clip, same), actor, shift)
            area = (slice(None), slice(None), slice(top, top + planes.shape[4]), slice(low, low + planes.shape[2]))
            some = part[same]
            some[area] = torch.maximum(some[area], planes[..., 0, :].transpose(2, 3))
            part[same] = some
        near = (clip["camera"] >= 3).nonzero().flatten()
        if len(near):
            part[near] = _magnified(part[near][:, :, None], clip["zoom"][near])[:, :, 0]
        result[index] = part
    return result
