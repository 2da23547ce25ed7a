"""Tests of the drawn world: python -m unittest discover -s tests/train -p "*_test.py"."""

import sys
import unittest
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "train"))

import world

NAMES = dict(scene=world.SCENES, time=world.TIMES, weather=world.WEATHER, actor=world.ACTORS, color=world.COLORS)


def clips(n, seed=1):
    return world.sample(n, torch.Generator().manual_seed(seed))


def one_clip(**values):
    """Parameters of one clip, by class names."""
    params = {key: torch.tensor([0]) for key in ("scene", "time", "weather", "actor", "color", "direction", "start")}
    params |= {key: torch.tensor([NAMES[key.rstrip("2")].index(v) if isinstance(v, str) else v])
               for key, v in values.items()}
    return dict(time2=params["time"], weather2=params["weather"], change=torch.tensor([world.NEVER])) | params


def video(first=0, frames=4, **values):
    return world.render(one_clip(**values), torch.tensor([first]), frames)[0]


class ParametersTest(unittest.TestCase):
    def test_every_class_is_drawn_and_actors_fit_their_scene(self):
        params = clips(4000)
        for key, names in NAMES.items():
            self.assertEqual(set(params[key].tolist()), set(range(len(names))), key)
        for scene, actor in zip(params["scene"].tolist(), params["actor"].tolist()):
            self.assertIn(world.ACTORS[actor], world.actors_of(world.SCENES[scene]))

    def test_same_seed_same_parameters(self):
        first, second = clips(50), clips(50)
        for key in first:
            self.assertTrue(torch.equal(first[key], second[key]), key)

    def test_changes_begin_with_a_frame_block(self):
        generator = torch.Generator().manual_seed(2)
        params = world.add_changes(clips(2000), 0.5, generator, 10, 100)
        changed = params["change"] < world.NEVER
        self.assertAlmostEqual(changed.float().mean().item(), 0.5, delta=0.05)
        change = params["change"][changed]
        self.assertEqual(set(change.tolist()), set(range(21, 100, 12)))
        differs = (params["time2"] != params["time"]) | (params["weather2"] != params["weather"])
        self.assertTrue(torch.equal(differs, changed))

    def test_changes_take_a_range_per_clip(self):
        first = torch.tensor([0, 1, 9, 10])
        last = torch.tensor([1, 9, 10, 22])
        params = world.add_changes(clips(4), 1.0, torch.Generator().manual_seed(2), first, last)
        self.assertEqual(params["change"].tolist(), [0, world.NEVER, 9, 21])


class RenderTest(unittest.TestCase):
    def test_shape_range_and_determinism(self):
        params, first = clips(7), torch.arange(7) * 250
        frames = world.render(params, first, 5)
        self.assertEqual(tuple(frames.shape), (7, 5, 3, 144, 256))
        self.assertTrue(torch.isfinite(frames).all())
        self.assertGreaterEqual(frames.min().item(), 0)
        self.assertLessEqual(frames.max().item(), 1)
        self.assertTrue(torch.equal(frames, world.render(params, first, 5)))

    def test_parts_equal_the_whole_and_clips_are_independent(self):
        params = world.add_changes(clips(6), 1.0, torch.Generator().manual_seed(3), 9, 22)
        first = torch.tensor([0, 3, 9, 12, 500, 2000])
        whole = world.render(params, first, 20)
        parts = torch.cat([world.render(params, first, 7), world.render(params, first + 7, 13)], 1)
        self.assertTrue(torch.equal(whole, parts))
        for i in range(6):
            index = torch.tensor([i])
            self.assertTrue(torch.allclose(whole[index], world.render(world.take(params, index), first[index], 20),
                                           atol=1e-6))

    def test_the_past_knows_nothing_of_the_change(self):
        plain = dict(scene="hills", time="day", weather="clear", actor="balloon", color="red")
        changing = video(0, 40, **plain, time2="night", weather2="snow", change=torch.tensor(9).item())
        self.assertTrue(torch.equal(changing[:9], video(0, 9, **plain)))
        self.assertFalse(torch.equal(changing[9], video(9, 1, **plain)[0]))
        after = video(33, 7, **(plain | dict(time="night", weather="snow")))
        self.assertTrue(torch.allclose(changing[33:], after, atol=1e-5))

    def test_motion_is_even_and_repeats(self):
        """Rails, ground and the actor's video repeat after the least common multiple of their periods."""
        still = dict(scene="desert", time="day", weather="rain", actor="car", color="blue")
        self.assertGreater((video(0, 1, **still) - video(1, 1, **still)).abs().mean().item(), 1e-3)
        period = 4 * 512 * 3  # farthest layer: a quarter element a frame over 512; 48 divides it
        self.assertTrue(torch.equal(video(7, 2, **still), video(7 + period, 2, **still)))

    def test_directions_scroll_opposite_ways(self):
        values = dict(scene="city", time="day", weather="clear", actor="ball", color="blue")
        right, left = (video(0, 9, direction=d, **values) for d in (1, 0))
        for frames, step in ((right, -16), (left, 16)):  # two elements a frame; a stretch of road beside the ball
            now, moved = frames[8, :, 132:138, 24:80], torch.roll(frames[0], step, -1)[:, 132:138, 24:80]
            self.assertLess((now - moved).abs().max().item(), 0.06)
            self.assertGreater((now - frames[0, :, 132:138, 24:80]).abs().max().item(), 0.2)

    def test_mask_covers_what_the_colour_paints(self):
        for actor in world.ACTORS:
            values = dict(scene="sea" if actor == "boat" else "hills", time="day", weather="clear", actor=actor)
            red, blue = (one_clip(color=color, **values) for color in ("red", "blue"))
            params = {key: torch.cat([red[key], blue[key]]) for key in red}
            first = torch.tensor([31, 31])
            mask, frames = world.actor_mask(params, first, 1)[0, 0], world.render(params, first, 1)[:, 0]
            self.assertGreater(mask.mean().item(), 0.03)
            self.assertLess(mask.mean().item(), 0.25)
            self.assertGreaterEqual((mask > 0.5).any(1).sum().item(), 20)
            self.assertGreaterEqual((mask > 0.5).any(0).sum().item(), 32)
            change = (frames[0] - frames[1]).abs().amax(0)
            self.assertLess(change[mask == 0].max().item(), 1e-6)
            self.assertGreater((change * mask).sum().item() / mask.sum().item(), 0.25, actor)

    def test_colours_stay_apart_at_every_hour(self):
        n = len(world.COLORS)
        for time in world.TIMES:
            for weather in world.WEATHER:
                clip = one_clip(scene="forest", time=time, weather=weather, actor="balloon")
                params = {key: value.repeat(n) for key, value in clip.items()} | dict(color=torch.arange(n))
                first = torch.zeros(n, dtype=torch.int64)
                mask = world.actor_mask(params, first, 1)
                means = (world.render(params, first, 1)[:, 0] * mask).sum((2, 3)) / mask.sum((2, 3))
                distance = torch.cdist(means, means) + torch.eye(n)
                self.assertGreater(distance.min().item(), 0.1, (time, weather))

    def test_every_state_of_the_sky_looks_different_when_blurred(self):
        small = []
        for time in world.TIMES:
            for weather in world.WEATHER:
                frame = video(0, 1, scene="mountains", time=time, weather=weather, actor="balloon", color="red")
                small.append(torch.nn.functional.avg_pool2d(frame, 16).flatten())
        distance = torch.cdist(torch.stack(small), torch.stack(small)) / small[0].numel() ** 0.5 + torch.eye(16)
        self.assertGreater(distance.min().item(), 0.02)


if __name__ == "__main__":
    unittest.main()
