"""A drawn world: endless captioned videos, a pure function of a few clip parameters and the frame index.

Every video is 256x144 at 16 fps. Sky, clouds, layers of landscape, the actor and what falls from the sky are
tables of frame columns, painted once per device; drawing a frame picks columns and lays them over each other.
Everything that moves repeats: the panorama after 512 elements, motions after 12, 24 or 48 frames.
"""

import functools

import torch
import torch.nn.functional as F

from world_actors import ACTORS, COLOR_VALUES, COLORS, COLUMNS, FRAMES, LEFT, paint_actor
from world_scenes import SCENES, rails, scene_layers, tones
from world_shapes import HEIGHT, WIDTH, mix, rgb
from world_sky import (CLOUD_ROWS, GLINT_FRAMES, GLINT_ROWS, GLINT_TOP, PRECIPITATION_FRAMES, TIMES, WEATHER, clouds,
                       glints, palette,
                       precipitation, skies)

DIRECTIONS = ["left", "right"]
STARTS = 8  # camera positions a video may begin from
BLEND_FRAMES = 24
NEVER = 10**9
FIRST_BLOCK, BLOCK = 9, 12  # frames in the first frame block and in each later one
LAMP = "#ffd989"
PLACES = {"sea": ["boat", "balloon", "bird", "kite"], "desert": ["ball", "balloon", "bird", "car", "train", "kite"]}
LAND = ["ball", "balloon", "bird", "car", "train", "kite"]


def actors_of(scene):
    """Names of the actors that may appear in a scene."""
    return PLACES.get(scene, LAND)


# ---- parameters


def sample(n, generator):
    """Parameters of n clips without change: dict of int64 [n] on the CPU, uniform over scene, time, weather, colour,
    direction, start."""

    def draw(k):
        return torch.randint(0, k, (n,), generator=generator)

    params = dict(scene=draw(len(SCENES)), time=draw(len(TIMES)), weather=draw(len(WEATHER)), color=draw(len(COLORS)),
                  direction=draw(2), start=draw(STARTS))
    pick = torch.rand(n, generator=generator)
    actor = torch.zeros(n, dtype=torch.int64)
    for index, scene in enumerate(SCENES):
        allowed = torch.tensor([ACTORS.index(a) for a in actors_of(scene)])
        actor = torch.where(params["scene"] == index, allowed[(pick * len(allowed)).long().clamp(max=len(allowed) - 1)],
                            actor)
    never = torch.full((n,), NEVER)
    return params | dict(actor=actor, time2=params["time"].clone(), weather2=params["weather"].clone(), change=never)


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


@functools.cache
def _sky_tables(device):
    colours = palette()
    fixed = dict(sky=skies(colours), clouds=clouds(), falls=precipitation(), glints=glints())
    y, x = (torch.arange(HEIGHT) + 0.5) / HEIGHT - 0.5, (torch.arange(WIDTH) + 0.5)[:, None] / WIDTH - 0.5
    fixed["vignette"] = 1 - 0.22 * (x * x * 1.6 + y * y * 1.2)[:, None]
    return {k: v.to(device) for k, v in (colours | fixed).items()}


@functools.cache
def _scene_tables(scene, device):
    """Layers behind the actor, layers in front, light factors of each state [16, 3]."""
    back, front = ([_layer_table(layer, device) for layer in group] for group in scene_layers(SCENES[scene]))
    return back, front, tones(SCENES[scene]).to(device)


@functools.cache
def _rails_table(device):
    return _layer_table(rails(), device)


def _layer_table(layer, device):
    table = layer.strip.table()
    rows = table.shape[2]
    mist = torch.linspace(0, 1, rows)
    return dict(table=table.flatten(1).to(device), top=layer.strip.top, rows=rows, frames=layer.strip.frames,
                columns=4 * layer.strip.period, speed=layer.speed,
                mist=mix(layer.mist[0], layer.mist[1], mist).to(device))


@functools.cache
def _actor_table(actor, device):
    return paint_actor(ACTORS[actor]).table().flatten(1).to(device)


@functools.cache
def _body_colours(device):
    return torch.stack([rgb(c) for c in COLOR_VALUES]).to(device)


# ---- drawing


def _frames_of(first_frame, frames, device):
    return first_frame.to(device)[:, None] + torch.arange(frames, device=device)


def _mixed(values, clip):
    """Palette entries [16, C] for each frame, blended over the change: [n, T, 1, C, 1]."""
    v = mix(values[clip["state"]][:, None], values[clip["state2"]][:, None], clip["blend"][..., None])
    return v[:, :, None, :, None]


def _scroll(columns, speed, frames, clip):
    """Column index [n, T, W] of a strip that scrolls `speed` quarter elements a frame."""
    sign = clip["direction"] * 2 - 1
    offset = (clip["start"] * (columns // STARTS))[:, None] + (sign * speed)[:, None] * clip["frame"]
    x = 4 * torch.arange(WIDTH, device=offset.device)
    return (offset[..., None] + x) % columns + (clip["frame"] % frames)[..., None] * columns


def _draw_sky(clip, tables):
    n, t = clip["frame"].shape
    sky = tables["sky"][clip["state"]][:, None].expand(n, t, WIDTH, 3, HEIGHT).clone()
    if clip["changing"]:
        sky += clip["blend"][..., None, None, None] * (tables["sky"][clip["state2"]][:, None] - sky)
    columns = tables["clouds"].shape[1]
    index = _scroll(columns, 1, 1, clip)
    lit, shaded = _mixed(tables["lit"], clip), _mixed(tables["shaded"], clip)
    shares = [("weather", torch.ones_like(clip["blend"]))]
    if clip["changing"]:
        shares = [("weather", 1 - clip["blend"]), ("weather2", clip["blend"])]
    alpha = 0
    for key, share in shares:
        picked = F.embedding(index + clip[key][:, None, None] * columns,
                             tables["clouds"].flatten(2).flatten(0, 1)).view(n, t, WIDTH, 2, CLOUD_ROWS)
        alpha = alpha + picked * share[..., None, None, None]
    coverage, light = alpha[..., :1, :], alpha[..., 1:, :]
    part = sky[..., :CLOUD_ROWS]
    part *= 1 - coverage
    part += coverage * shaded + light * (lit - shaded)
    return sky


def _draw_layer(frame, layer, clip, colours):
    n, t = clip["frame"].shape
    index = _scroll(layer["columns"], layer["speed"], layer["frames"], clip)
    planes = F.embedding(index, layer["table"]).view(n, t, WIDTH, 8, layer["rows"])
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
    phase = clip["frame"] % GLINT_FRAMES
    videos = tables["glints"].flatten(0, 1)
    part = frame[..., GLINT_TOP : GLINT_TOP + GLINT_ROWS]
    for state, share in (("state", 1 - clip["blend"]), ("state2", clip["blend"])):
        light = videos[phase + (clip[state] // 4 * GLINT_FRAMES)[:, None]]
        part += (light * share[..., None, None])[..., None, :] * (
            tables["sun"] * tables["clear"])[clip[state]][:, None, None, :, None]
        if not clip["changing"]:
            break
    part.clamp_(0, 1)


def _actor_planes(clip, actor, device):
    """The actor's video for clips that all have this actor: [n, T, COLUMNS, 8, H]."""
    n, t = clip["frame"].shape
    x = torch.arange(COLUMNS, device=device)
    x = torch.where(clip["direction"][:, None] == 1, x, COLUMNS - 1 - x)
    index = (clip["frame"] % FRAMES)[..., None] * COLUMNS + x[:, None]
    return F.embedding(index, _actor_table(actor, device)).view(n, t, COLUMNS, 8, HEIGHT)



def _draw_actor(frame, clip, colours, actor):
    planes = _actor_planes(clip, actor, frame.device)
    alpha, tint, own, lamp, halo, shadow = planes.split([1, 1, 3, 1, 1, 1], 3)
    body = _body_colours(frame.device)[clip["color"]][:, None, None, :, None]
    part = frame[:, :, LEFT : LEFT + COLUMNS]
    part *= 1 - shadow
    part += halo * colours["glow"] * (colours["lamp"] - part)
    part *= 1 - alpha
    part += (tint * body + own) * colours["actor"] + lamp * colours["lamps"] * 0.5
    part.clamp_(0, 1)


def _draw_falls(frame, clip, tables, colours):
    """Rain and snow."""
    n, t = clip["frame"].shape
    phase = clip["frame"] % PRECIPITATION_FRAMES
    falls = tables["falls"].flatten(0, 1)
    coverage = falls[phase + (clip["weather"] * PRECIPITATION_FRAMES)[:, None]]
    if clip["changing"]:
        coverage = mix(coverage, falls[phase + (clip["weather2"] * PRECIPITATION_FRAMES)[:, None]],
                       clip["blend"][..., None, None])
    coverage = coverage[..., None, :]
    frame += coverage * (colours["drops"] - frame)


def _clip(params, first_frame, frames):
    device = params["scene"].device
    frame = _frames_of(first_frame, frames, device)
    clip = dict(params, frame=frame, state=params["time"] * 4 + params["weather"],
                state2=params["time2"] * 4 + params["weather2"])
    u = ((frame - params["change"][:, None] + 1) / BLEND_FRAMES).clamp(0, 1)
    clip["blend"] = u * u * (3 - 2 * u)
    return clip


def _select(clip, index):
    return {key: value[index] if isinstance(value, torch.Tensor) else value for key, value in clip.items()}


def _draw(clip):
    """All clips have one scene; returns columns [n, T, W, 3, H]."""
    device = clip["frame"].device
    tables = _sky_tables(device)
    clip["changing"] = bool((clip["blend"] > 0).any())
    clip["snowy"] = bool(((clip["weather"] == 3) | (clip["weather2"] == 3)).any())
    names = ("light", "haze", "fog", "snow", "lamps", "glow", "actor", "drops")
    colours = {name: _mixed(tables[name], clip) for name in names}
    colours["lamp"] = rgb(LAMP).to(device)[:, None]
    back, front, tone = _scene_tables(int(clip["scene"][0]), device)
    colours["light"] = colours["light"] * _mixed(tone, clip)
    frame = _draw_sky(clip, tables)
    for layer in back:
        _draw_layer(frame, layer, clip, colours)
    if SCENES[int(clip["scene"][0])] == "sea":
        _draw_glint(frame, clip, tables)
    for actor in clip["actor"].unique().tolist():
        same = (clip["actor"] == actor).nonzero().flatten()
        part, some, light = frame[same], _select(clip, same), {k: v[same] if v.dim() == 5 else v
                                                               for k, v in colours.items()}
        if ACTORS[actor] == "train":
            _draw_layer(part, _rails_table(device), some, light)
        _draw_actor(part, some, light, actor)
        frame[same] = part
    for layer in front:
        _draw_layer(frame, layer, clip, colours)
    if bool((torch.stack([clip["weather"], clip["weather2"]]) >= 2).any()):
        _draw_falls(frame, clip, tables, colours)
    return frame.mul_(tables["vignette"]).clamp_(0, 1)


def _groups(params, frames, limit=600):
    """Index tensors of clips of one scene, small enough that a group has at most about `limit` frames."""
    size = max(1, limit // frames)
    for scene in params["scene"].unique().tolist():
        yield from (params["scene"] == scene).nonzero().flatten().split(size)


@torch.no_grad()
def render(params, first_frame, frames):
    """Frames first_frame[i] to first_frame[i] + frames - 1 of each clip: float32 [n, frames, 3, 144, 256] in [0, 1]."""
    device = params["scene"].device
    result = torch.empty(len(params["scene"]), frames, 3, HEIGHT, WIDTH, device=device)
    first_frame = first_frame.to(device)
    for index in _groups(params, frames):
        result[index] = _draw(_clip(take(params, index), first_frame[index], frames)).permute(0, 1, 3, 4, 2)
    return result


@torch.no_grad()
def actor_mask(params, first_frame, frames):
    """Soft coverage of the actor: float32 [n, frames, 144, 256] in [0, 1]."""
    device = params["scene"].device
    result = torch.zeros(len(params["scene"]), frames, HEIGHT, WIDTH, device=device)
    clip = _clip(params, first_frame, frames)
    for actor in params["actor"].unique().tolist():
        same = (params["actor"] == actor).nonzero().flatten()
        planes = _actor_planes(_select(clip, same), actor, device)
        result[same, :, :, LEFT : LEFT + COLUMNS] = planes[..., 0, :].transpose(2, 3)
    return result
