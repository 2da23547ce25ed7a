"""Tests of the drawn world: python -m unittest discover -s tests/train -p "*_test.py"."""

import sys
import unittest
import unittest.mock
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "train"))

import videos
import world

NAMES = dict(scene=world.SCENES, season=world.SEASONS, time=world.TIMES, weather=world.WEATHER,
             actor=[*world.ACTORS, "nobody"], color=world.COLORS, camera=world.CAMERAS)
PLAIN = dict(scene="desert", season="summer", time="day", weather="clear", actor="balloon", color="red",
             actor2="nobody",
             color2="red", camera="follow", direction=1, start=0)


def clips(n, seed=1):
    return world.sample(n, torch.Generator().manual_seed(seed))


def one_clip(**values):
    """Parameters of one clip, by class names."""
    params = {key: torch.tensor([NAMES[key.rstrip("2")].index(v) if isinstance(v, str) else v])
              for key, v in (PLAIN | values).items()}
    return dict(time2=params["time"], weather2=params["weather"], change=torch.tensor([world.NEVER])) | params


def video(first=0, frames=4, **values):
    return world.render(one_clip(**values), torch.tensor([first]), frames)[0]


class ParametersTest(unittest.TestCase):
    def test_every_class_is_drawn_and_actors_fit_their_scene(self):
        params = clips(6000)
        for key, names in NAMES.items():
            count = len(world.ACTORS) if key == "actor" else len(names)
            self.assertEqual(set(params[key].tolist()), set(range(count)), key)
        two = params["actor2"] != world.NOBODY
        self.assertAlmostEqual(two.float().mean().item(), 0.3, delta=0.04)
        self.assertTrue((params["actor"] < params["actor2"]).all())
        self.assertTrue((params["color"] != params["color2"])[two].all())
        for scene, *actors in zip(*(params[key].tolist() for key in ("scene", "actor", "actor2"))):
            for actor in actors:
                if actor != world.NOBODY:
                    self.assertIn(world.ACTORS[actor], world.actors_of(world.SCENES[scene]))

    def test_seasons_fit_the_weather_and_cameras_the_actors(self):
        params = clips(6000)
        winter, rain, snow = world.SEASONS.index("winter"), world.WEATHER.index("rain"), world.WEATHER.index("snow")
        self.assertTrue((params["season"][params["weather"] == snow] == winter).all())
        self.assertFalse((params["season"][params["weather"] == rain] == winter).any())
        panned = (params["camera"] == 1) | (params["camera"] == 2)
        self.assertTrue((params["actor2"][panned] == world.NOBODY).all())

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
    def test_shape_range_determinism_and_halves(self):
        params = {key: torch.cat([one_clip()[key], one_clip(weather="rain",
                                                            camera="zoom in")[key]]) for key in one_clip()}
        first = torch.tensor([0, 60])
        frames = world.render(params, first, 2)
        self.assertEqual(tuple(frames.shape), (2, 2, 3, 288, 512))
        self.assertTrue(torch.isfinite(frames).all())
        self.assertGreaterEqual(frames.min().item(), 0)
        self.assertLessEqual(frames.max().item(), 1)
        self.assertTrue(torch.equal(frames, world.render(params, first, 2)))
        halves = world.render_halved(params, first, 2)
        means = frames.unflatten(3, (144, 2)).unflatten(5, (256, 2)).mean((4, 6))
        self.assertTrue(torch.allclose(halves, means, atol=1e-6))

    def test_parts_equal_the_whole_and_clips_are_independent(self):
        clip = one_clip(time2="night", weather2="rain", change=9)
        other = one_clip(time="sunset", actor="car", actor2="plane", color2="blue")
        params = {key: torch.cat([clip[key], other[key]]) for key in clip}
        first = torch.tensor([6, 500])
        whole = world.render(params, first, 5)
        parts = torch.cat([world.render(params, first, 2), world.render(params, first + 2, 3)], 1)
        self.assertTrue(torch.allclose(whole, parts, atol=1e-6))
        self.assertTrue(torch.allclose(whole[:1], world.render(clip, first[:1], 5), atol=1e-6))

    def test_the_past_knows_nothing_of_the_change(self):
        changing = dict(time2="night", weather2="snow", change=9)
        self.assertTrue(torch.equal(video(7, 2, **changing), video(7, 2)))
        self.assertFalse(torch.equal(video(9, 1, **changing), video(9, 1)))
        after = video(33, 1, time="night", weather="snow")
        self.assertTrue(torch.allclose(video(33, 1, **changing), after, atol=1e-5))

    def test_motion_is_even_and_repeats(self):
        """Ground and the actor's video repeat after the least common multiple of their periods."""
        still = dict(weather="rain", actor="car", color="blue")
        self.assertGreater((video(0, 1, **still) - video(1, 1, **still)).abs().mean().item(), 1e-3)
        period = 4 * 512 * 3  # farthest layer: a quarter element a frame over 512; 48 divides it
        self.assertTrue(torch.equal(video(7, 1, **still), video(7 + period, 1, **still)))

    def test_directions_scroll_opposite_ways(self):
        right, left = (video(0, 9, actor="lantern", direction=d) for d in (1, 0))
        part = (slice(None), slice(250, 274), slice(100, 400))  # of the sand in front
        for frames, step in ((right, -32), (left, 32)):  # two elements a frame
            now, moved = frames[8][part], torch.roll(frames[0], step, -1)[part]
            self.assertLess((now - moved).abs().max().item(), 0.06)
            self.assertGreater((now - frames[0][part]).abs().max().item(), 0.1)

    def test_a_pan_moves_everything_alike_and_then_rests(self):
        follow, panned = (video(60, 1, actor="lantern", camera=c)[0] for c in ("follow", "pan left"))
        self.assertTrue(torch.allclose(panned[:, 20:, 60:], follow[:, 20:, :-60], atol=0.05))  # but the vignette
        self.assertGreater((panned - follow).abs().mean().item(), 0.01)
        end = [world.actor_mask(one_clip(actor="lantern", camera="pan left"), torch.tensor([f]), 1) for f in (96, 144)]
        self.assertTrue(torch.equal(*end))

    def test_a_zoom_magnifies_the_actor(self):
        def area(camera, frame):
            return world.actor_mask(one_clip(actor="lantern", camera=camera), torch.tensor([frame]), 1).sum().item()

        for camera, first, last in (("zoom in", 1.0, world.ZOOM), ("zoom out", world.ZOOM, 1.0)):
            for frame, zoom in ((0, first), (96, last), (480, last)):
                self.assertAlmostEqual(area(camera, frame) / area("follow", frame), zoom ** 2, delta=0.02)

    def test_masks_cover_what_the_colours_paint(self):
        for actor, other, scene in (("train", "plane", "desert"), ("ball", "rabbit", "desert"), ("boat", "duck",
                                                                                                 "sea")):
            clip = one_clip(scene=scene, actor=actor, actor2=other, color="red", color2="yellow")
            params = {key: value.repeat(3) for key, value in clip.items()}
            params |= dict(color=torch.tensor([0, 4, 0]), color2=torch.tensor([2, 2, 4]))
            first = torch.full((3,), 31)
            mask = world.actor_mask(params, first, 1)[0, 0]
            frames = world.render(params, first, 1)[:, 0]
            for changed, side in ((1, slice(0, 256)), (2, slice(256, 512))):  # the left one, the right one
                change, own = (frames[0] - frames[changed]).abs().amax(0), torch.zeros_like(mask)
                own[:, side] = mask[:, side]
                self.assertGreater(own.mean().item(), 0.02)
                around = torch.nn.functional.max_pool2d(mask[None], 3, 1, 1)[0]  # the lens takes a pixel more
                self.assertLess(change[around == 0].max().item(), 1e-6)
                self.assertGreater((change * own).sum().item() / own.sum().item(), 0.2, (actor, other))

    def test_colours_stay_apart_at_every_hour(self):
        n = len(world.COLORS)
        for time, weather in (("dawn", "cloudy"), ("day", "clear"), ("sunset", "rain"), ("night", "snow")):
            params = {key: value.repeat(n) for key, value in one_clip(time=time, weather=weather).items()}
            params |= dict(color=torch.arange(n))
            first = torch.zeros(n, dtype=torch.int64)
            mask = world.actor_mask(params, first, 1)
            means = (world.render(params, first, 1)[:, 0] * mask).sum((2, 3)) / mask.sum((2, 3))
            distance = torch.cdist(means, means) + torch.eye(n)
            self.assertGreater(distance.min().item(), 0.1, (time, weather))

    def test_every_state_of_the_sky_looks_different_when_blurred(self):
        small = []
        for time in world.TIMES:
            for weather in world.WEATHER:
                small.append(torch.nn.functional.avg_pool2d(video(0, 1, time=time, weather=weather)[0], 32).flatten())
        distance = torch.cdist(torch.stack(small), torch.stack(small)) / small[0].numel() ** 0.5 + torch.eye(16)
        self.assertGreater(distance.min().item(), 0.02)

    def test_seasons_look_different(self):
        small = [torch.nn.functional.avg_pool2d(video(0, 1, scene="canyon", season=season)[0], 16).flatten()
                 for season in ("summer", "winter")]
        self.assertGreater((small[0] - small[1]).abs().max().item(), 0.2)


    def test_sixteen_bits_draw_the_same(self):
        """As on a GPU: frames and tables have 16 bits."""
        rows = [dict(weather2="rain", time2="night", change=0, camera="zoom in", actor="car", actor2="lantern"),
                dict(time="night", camera="pan right", actor="train"), dict(weather="snow", season="summer")]
        clip = [one_clip(**row) for row in rows]
        params = {key: torch.cat([c[key] for c in clip]) for key in clip[0]}
        first = torch.tensor([12, 60, 0])
        expected, mask = world.render(params, first, 1), world.actor_mask(params, first, 1)
        painters = [p for p in vars(world).values() if hasattr(p, "stored")]
        kept = [dict(p.stored) for p in painters]
        try:
            for painter in painters:
                painter.stored.update(world._moved(painter.stored, "cpu", torch.float16))
            with unittest.mock.patch.object(world, "_dtype", lambda device: torch.float16):
                frames, halves = world.render(params, first, 1), world.actor_mask(params, first, 1)
            self.assertEqual((frames.dtype, halves.dtype), (torch.float16, torch.float16))
            self.assertLess((frames - expected).abs().max().item(), 0.02)
            self.assertLess((halves - mask).abs().max().item(), 0.02)
        finally:
            for painter, stored in zip(painters, kept):
                painter.stored.update(stored)

    def test_tables_painted_in_processes_are_those_painted_on_first_use(self):
        device, number = torch.device("cpu"), 12  # the rails without snow
        function, arguments = world._jobs()[number]
        expected = function(*arguments, device)["table"]
        function.stored.clear()
        world.paint_all(device, 1, [number])
        self.assertLess((function(*arguments, device)["table"] - expected).abs().max().item(), 1e-3)  # 16 bits


class TruthTest(unittest.TestCase):
    def test_what_is_seen_follows_the_camera_and_the_change(self):
        params = one_clip(camera="zoom out", time2="night", change=57)
        early, late = (videos.truth(params, torch.tensor([f])) for f in (10, 90))
        self.assertEqual((early["view"].item(), late["view"].item()), (3, 0))
        self.assertEqual((early["time"].item(), late["time"].item()), (1, 3))
        self.assertEqual((early["actor2"].item(), early["color2"].item()), (world.NOBODY, -1))
        self.assertEqual(videos.truth(one_clip(camera="pan right"), torch.tensor([200]))["view"].item(), 2)


if __name__ == "__main__":
    unittest.main()
