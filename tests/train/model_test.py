"""Tests of the demo model's PyTorch side: python -m unittest discover -s tests/train -p "*_test.py"."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "train"))

import gguf
import pack
import train_transformer
import train_vae
import umt5
from optim import Trainer
from rollout import SIGMAS
from wan_transformer import Geometry, Layout, WanTransformer, geometry_from_checkpoint, load_state
from wan_vae import WanVAE, adopt

SMALL = Geometry(dim=64, num_heads=2, num_layers=3, ffn_dim=96, freq_dim=256, text_dim=24, text_len=8, height=3,
                 width=4)


LIMIT = 300  # seconds that processes may take together


def relative(a, b):
    return float((a - b).detach().norm() / b.detach().norm())


def small_vae(seed=0, outputs=12):
    torch.manual_seed(seed)
    vae = WanVAE((8, 16, 16, 16), (8, 16, 32, 16), head_outputs=outputs).eval().requires_grad_(False)
    for name, p in vae.named_parameters():
        if name.endswith("bias"):
            p.data.normal_(std=0.1)
    return vae


class TrainingPassEqualsGeneration(unittest.TestCase):
    """The training pass over clean and noisy blocks computes what cached generation computes."""

    @torch.no_grad()
    def setUp(self):
        torch.manual_seed(0)
        self.model = WanTransformer(SMALL)
        torch.nn.init.normal_(self.model.head.head.weight, std=0.1)
        layout = Layout(windows=2, copies=2, starts=3, firsts=2)
        sizes = layout.sizes()
        n = sum(sizes)
        x, caption, t = torch.randn(n, 3, 16, 6, 8), torch.randint(0, 9, (n,)), torch.rand(n) * 1000
        self.rows = torch.randn(9, 8, 24)
        self.x, self.caption, self.t = (list(p.split(sizes)) for p in (x, caption, t))
        self.t[0].zero_(), self.t[2].zero_()
        self.first = torch.tensor([6, 30])
        self.clean = torch.cat([torch.zeros(2, 1).long(), self.first[:, None] + 3 * torch.arange(5)], 1)
        noisy = (self.first[:, None] + 3 * torch.arange(2, 6))[:, None].expand(2, 2, 4)
        start_noisy = torch.tensor([3, 6]).expand(3, 2, 2)
        starts = torch.cat([self.clean.flatten(), noisy.flatten(), torch.tensor([0, 3] * 3), start_noisy.flatten(),
                            torch.zeros(2).long()])
        self.flows = self.model(x, torch.cat(self.t), starts, self.rows, caption, layout)

    @torch.no_grad()
    def cached(self, group, index, start, entries):
        past = [list(layer) for layer in zip(*entries)] or [[] for _ in self.model.blocks]
        text = self.model.text_keys(self.rows[self.caption[group][index]][None])
        return self.model.cached(self.x[group][index][None], float(self.t[group][index]), torch.tensor([start]), text,
                                 past)

    def expect(self, output, index, group, start, entries):
        self.assertLess(relative(self.flows[output][index], self.cached(group, index, start, entries)[0][0]), 1e-5)

    def test_windows(self):
        for w in range(2):
            entries = []
            for place in range(7):  # place 0 is the sink
                past = [*entries[:1], *entries[1:][-2:]]
                for copy in range(2 if place >= 3 else 0):
                    self.expect(0, (w * 2 + copy) * 4 + place - 3, 1, int(self.first[w]) + 3 * (place - 1), past)
                if place < 6:
                    entries.append(self.cached(0, w * 6 + place, int(self.clean[w, place]), past)[1])

    def test_video_starts(self):
        for s in range(3):
            entries = []
            for block in range(2):
                entries.append(self.cached(2, s * 2 + block, 3 * block, entries)[1])
                for copy in range(2):
                    self.expect(1, (s * 2 + copy) * 2 + block, 3, 3 * block + 3, entries)

    def test_first_blocks(self):
        for f in range(2):
            self.expect(2, f, 4, 0, [])


class Autoencoder(unittest.TestCase):
    def test_decoding_in_parts_equals_decoding_at_once(self):
        vae, z, history = small_vae(), torch.randn(1, 16, 7, 2, 3), {}
        whole = vae.decode(z)
        self.assertEqual(whole.shape[2], 25)
        for sizes in ([3, 3, 1], [1, 2, 4]):
            history = {}
            parts = torch.cat([vae.decode(part, history) for part in z.split(sizes, 2)], 2)
            self.assertLess(relative(parts, whole), 1e-5)

    def test_stacked_convolutions_compute_the_same(self):
        vae, x = small_vae(), torch.rand(1, 3, 9, 16, 24)
        vae.set_stacked(False)
        z = vae.encode(x)
        vae.set_stacked(True)
        self.assertLess(relative(vae.encode(x), z), 1e-4)

    def test_folded_statistics_change_the_latents_alone(self):
        vae, x = small_vae(), torch.rand(1, 3, 9, 16, 24)
        raw = vae.posterior(x)[0]
        frames, mean, std = vae.decode_raw(raw), torch.randn(16), torch.rand(16) + 0.5
        self.assertEqual(frames.shape, (1, 3, 9, 32, 48))  # twice the size
        vae.fold_statistics(mean, std)
        self.assertLess(relative(vae.encode(x), (raw - mean.view(-1, 1, 1, 1)) / std.view(-1, 1, 1, 1)), 1e-4)
        self.assertLess(relative(vae.decode(vae.encode(x)), frames), 1e-4)

    def test_a_saved_run_is_loaded_with_its_widths(self):
        vae, z = small_vae(), torch.randn(1, 16, 2, 2, 3)
        with tempfile.TemporaryDirectory() as folder:
            train_vae.save(vae, folder)
            self.assertLess(relative(train_vae.load(folder).decode(z), vae.decode(z)), 5e-3)

    def test_planes_are_laid_out_as_in_the_published_format(self):
        vae, z = small_vae(), torch.randn(1, 16, 1, 2, 3)
        seen = []
        vae.decoder.head["2"].register_forward_hook(lambda m, args, y: seen.append(y))
        frames = vae.decode(z)
        for colour in range(3):
            for row in range(2):
                for column in range(2):
                    plane = seen[0][:, colour * 4 + 2 * row + column]
                    self.assertTrue(torch.equal(frames[:, colour, :, row::2, column::2], plane))

    def test_a_decoder_is_continued_at_twice_the_size_and_wider(self):
        plain, z = small_vae(outputs=3), torch.randn(1, 16, 3, 2, 3)
        double = small_vae(1)
        self.assertEqual(adopt(double, plain.state_dict()), 0)
        enlarged = torch.nn.functional.interpolate(plain.decode(z), scale_factor=(1, 2, 2))
        self.assertLess(relative(double.decode(z), enlarged), 1e-5)

    def test_a_wider_decoder_begins_with_almost_the_same_frames(self):
        narrow, z = small_vae(), torch.randn(1, 16, 3, 2, 3)
        wide = WanVAE((8, 16, 16, 16), (8, 16, 48, 32))
        self.assertGreater(adopt(wide, narrow.state_dict()), 0)
        self.assertLess(relative(wide.decode(z), narrow.decode(z)), 0.03)
        fresh = WanVAE((8, 16, 16, 16), (8, 32, 32, 16))  # a shortcut is gone
        self.assertGreater(adopt(fresh, narrow.state_dict()), 0)
        self.assertTrue(torch.isfinite(fresh.decode(z)).all())

    def test_packed_weights_give_almost_the_same_frames(self):
        vae, z = small_vae(), torch.randn(1, 16, 3, 2, 3)
        with tempfile.TemporaryDirectory() as folder:
            pack.save(vae.state_dict(), f"{folder}/vae.safetensors")
            packed = train_vae.load(f"{folder}/vae.safetensors")
            self.assertLess(os.path.getsize(f"{folder}/vae.safetensors"),
                            1.3 * sum(p.numel() for p in vae.parameters()))
        error = relative(packed.decode(z), vae.decode(z))
        self.assertLess(error, 0.02)
        self.assertGreater(error, 0)


class Steepness(unittest.TestCase):
    def test_lines_at_an_uncertain_place_are_drawn_once_sharpening_is_on(self):
        true = -0.5 * torch.ones(4, 3, 1, 33, 48)
        for i in range(4):
            true[i, ..., 20 + 2 * i] += 0.4
        steep, error = [], []
        for sharpening in (0.0, 0.3):  # one frame for all four
            frame = true.mean(0, keepdim=True).clone().requires_grad_(True)
            optimizer = torch.optim.Adam([frame], lr=0.003)
            for _ in range(150):
                loss, square, ratio = train_vae.reconstruction_loss(frame.expand_as(true), true, 0 * true[:, :1],
                                                                    torch.tensor(sharpening))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            steep.append(ratio.item())
            error.append(square.item())
        self.assertLess(steep[0], 0.6)
        self.assertGreater(steep[1], 0.8)
        self.assertLess(error[1], error[0])

    def test_the_weight_rises_and_falls_with_what_is_missing(self):
        sharpening = train_vae.Sharpening()
        for ratio, on in ((0.5, False), (0.5, True), (float("nan"), True)):
            before = float(sharpening.weight)
            for _ in range(50):
                sharpening.update(torch.tensor(ratio), on)
            self.assertEqual(float(sharpening.weight) > before, on, ratio)
        for _ in range(2000):
            sharpening.update(torch.tensor(1.0), True)
        self.assertEqual(float(sharpening.weight), 0.0)
        self.assertAlmostEqual(float(sharpening.ratio), 1.0, delta=1e-3)


class Optimisation(unittest.TestCase):
    def trainer(self):
        torch.manual_seed(0)
        net = torch.nn.Linear(6, 4)
        return net, Trainer(net.named_parameters(), ["weight"], muon_rate=0.02, adam_rate=0.02, weight_decay=0.0,
                            clip=1.0, average_span=5)

    def test_both_optimisers_lower_the_loss(self):
        net, trainer = self.trainer()
        x, y = torch.randn(64, 6), torch.randn(64, 6) @ torch.randn(6, 4) * 0
        losses = []
        for _ in range(200):
            loss = (net(x) - y).square().mean()
            losses.append(loss.item())
            trainer.step(loss, 1.0)
        self.assertLess(losses[-1], 0.05 * losses[0])
        self.assertLess(relative(trainer.average["weight"], net.weight.detach()), 1.0)

    def test_a_step_that_is_not_finite_is_reverted(self):
        net, trainer = self.trainer()
        trainer.step(net(torch.ones(1, 6)).sum(), 1.0)
        trainer.keep_good_state()
        before = net.weight.detach().clone()
        trainer.step(net(torch.full((1, 6), float("nan"))).sum(), 1.0)
        self.assertEqual(trainer.restored, 1)
        self.assertTrue(torch.equal(net.weight, before))


PROCESS = """
import os
import sys
from argparse import Namespace

sys.path.insert(0, "scripts/train")
import torch
from common import RANK, RANKS, broadcast, set_up, shared

folder = sys.argv[1]
log = set_up(1, folder)
torch.manual_seed(RANK)


class Clock:
    # goes on with every look at it, in every process at another pace
    def __init__(self):
        self.now = 5.0 + RANK

    def __call__(self):
        self.now += 0.1 + 0.07 * RANK
        return self.now


def leave(*tensors):
    torch.save(tensors, f"{folder}/{RANKS}-{RANK}.pt")
    os._exit(0)  # Gloo's threads may still hold tensors, and abort when they drop them while Python shuts down
"""
STEPS = PROCESS + """
from optim import Trainer
net = torch.nn.Linear(6, 4)
broadcast(p.data for p in net.parameters())
trainer = Trainer(net.named_parameters(), ["weight"], 0.02, 0.02, 0.0, clip=1.0, average_span=5)
torch.manual_seed(9)
assert shared(RANK + 5) == 5
for batch in torch.randn(3, 8, 6):
    part = batch.chunk(RANKS)[RANK]
    trainer.step((net(part).square().mean(1) + net(part).sum(1)).mean(), 1.0)
leave(*(p.detach() for p in net.parameters()))
"""
AUTOENCODER = PROCESS + """
import train_vae
from optim import Trainer
from wan_vae import WanVAE

class Clips:
    refreshed = 0

    def refresh(self):
        self.refreshed += 1

    def batch(self, clips, length, height, width):
        frames = torch.rand(clips, 4, length, 2 * height, 2 * width)
        return frames[:, :3], frames[:, 3:]

vae = WanVAE((8, 8, 8, 8), (8, 8, 8, 8))
broadcast(p.data for p in vae.parameters())
trainer = Trainer(vae.named_parameters(), [], 0.001, 0.001, 0.0, clip=1.0, average_span=5)
pool = Clips()
train_vae.elapsed = Clock()
options = Namespace(seconds=9, part=(0, 1), hold=0.5, out=folder)
train_vae.train(vae, trainer, pool, [(0.5, [(2, 5, 16, 16)]), (1.0, [(2, 5, 16, 16), (1, 9, 16, 16)])], options, log)
leave([p.detach() for p in vae.parameters()], [trainer.steps, pool.refreshed])
"""
TRANSFORMER = PROCESS + """
import copy
import latents
import train_transformer
from wan_transformer import Geometry, Layout

def draw_videos(self, count):
    z = torch.randn(count, latents.SLOTS, 3, 16, 6, 8)
    ids = torch.randint(2, 50, (count, 2, latents.VARIANTS, 6))
    return dict(latents=z, context=z, mask=z[:, :, :, 0].abs(), begin=torch.full((count,), 6), ids=ids,
                own=torch.zeros(count) > 1, changed=torch.zeros(count, latents.SLOTS).long())

def draw_firsts(self, count):
    z = torch.randn(count, 3, 16, 6, 8)
    ids = torch.randint(2, 50, (count, latents.VARIANTS, 6))
    return dict(latents=z, mask=z[:, :, 0].abs(), ids=ids)

latents.VideoPool.draw, latents.FirstPool.draw = draw_videos, draw_firsts
rest = (None, None, torch.Generator().manual_seed(RANK))
pools = [latents.VideoPool(3, 2, True, *rest), latents.VideoPool(3, 2, False, *rest),
         latents.FirstPool(4, 2, *rest)]
model = train_transformer.Model(Geometry(dim=32, num_heads=1, num_layers=2, ffn_dim=32, height=3, width=4), 50)
broadcast(p.data for p in model.parameters())
average = copy.deepcopy(model)
average.transformer.run_blocks = None
train_transformer.elapsed = Clock()
options = Namespace(seconds=7.2, part=(0, 1), rate=1e-3, own_from=0.2, reading_until=0.3, toy=True, rollouts=2,
                    out=folder)
train_transformer.train(model, average, pools, Layout(3, 2, 1, 2), options, log)
leave([p.detach() for p in model.parameters()], [])
"""


class SeveralProcesses(unittest.TestCase):
    def run_processes(self, script, folder, ranks):
        started = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        for rank in range(ranks):
            names = dict(RANK=rank, WORLD_SIZE=ranks, MASTER_ADDR="127.0.0.1", MASTER_PORT=port, OMP_NUM_THREADS=1)
            env = os.environ | {k: str(v) for k, v in names.items()} | {"CUDA_VISIBLE_DEVICES": ""}
            started.append(subprocess.Popen([sys.executable, "-c", script, folder], cwd=ROOT, env=env,
                                            stdout=subprocess.DEVNULL))
        try:
            self.assertEqual([p.wait(LIMIT) for p in started], [0] * ranks)
        finally:
            for p in started:
                p.kill()
                p.wait()
        return [torch.load(f"{folder}/{ranks}-{rank}.pt") for rank in range(ranks)]

    def test_they_take_the_steps_of_one_that_sees_all(self):
        with tempfile.TemporaryDirectory() as folder:
            (alone,), (first, second) = (self.run_processes(STEPS, folder, ranks) for ranks in (1, 2))
        for a, b, c in zip(alone, first, second):
            self.assertTrue(torch.equal(b, c))
            self.assertLess(relative(b, a), 1e-5)

    def expect_to_stay_together(self, script):
        with tempfile.TemporaryDirectory() as folder:
            (first, counts), (second, other_counts) = self.run_processes(script, folder, 2)
        self.assertEqual(counts, other_counts)
        for a, b in zip(first, second):
            self.assertTrue(torch.equal(a, b))
        return counts

    def test_the_autoencoders_trainers_stay_together_though_their_clocks_differ(self):
        steps, refreshed = self.expect_to_stay_together(AUTOENCODER)
        self.assertGreater(steps, 2)
        self.assertGreater(refreshed, 1)

    def test_the_transformers_trainers_stay_together_though_their_clocks_differ(self):
        self.expect_to_stay_together(TRANSFORMER)


class ShippedModel(unittest.TestCase):
    DEMO = ROOT / "assets" / "demo"

    def test_the_schedule_is_the_one_of_the_model_file(self):
        self.assertEqual([round(s, 4) for s in SIGMAS], [1.0, 0.9375, 0.8333, 0.625])

    @torch.no_grad()
    def test_the_exported_files_render_the_prompt(self):
        if not (self.DEMO / "config.json").exists():
            self.skipTest("no weights in assets/demo")
        import reference_render
        record, _ = reference_render.render(str(self.DEMO), "a red balloon over the sea at noon, clear sky", 1, seed=1)
        first = torch.nn.functional.interpolate(record["video"][0, :1], (144, 256), mode="area")[0]
        red = first[:, 40:70, 110:145].mean((1, 2))
        sea = first[:, 125:, :].mean((1, 2))
        self.assertGreater(float(red[0] - red[1:].amax()), 0.2)
        self.assertGreater(float(sea[2] - sea[0]), 0.1)
        shipped = geometry_from_checkpoint(json.loads((self.DEMO / "config.json").read_text()))
        self.assertEqual(replace(shipped, ffn_dim=Geometry().ffn_dim), Geometry())


class TextEncoder(unittest.TestCase):
    def test_padding_changes_nothing(self):
        torch.manual_seed(0)
        text = umt5.UMT5Encoder(50, 32, 4, 48, 2)
        ids = torch.tensor([[7, 9, 11, umt5.EOS]])
        padded = torch.cat([ids, torch.zeros(1, 12, dtype=torch.long)], 1)
        rows = text(padded)
        self.assertLess(relative(rows[:, :4], text(ids)), 1e-5)
        self.assertEqual(float(rows[:, 4:].abs().sum()), 0.0)

    def test_buckets_are_the_published_ones(self):
        bucket = umt5.relative_bucket(128, "cpu")
        offsets = {0: 0, 7: 7, 8: 8, 11: 8, 12: 9, 16: 10, 23: 11, 32: 12, 46: 13, 64: 14, 91: 15, 127: 15}
        for distance, offset in offsets.items():
            self.assertEqual(int(bucket[127, 127 - distance]), offset)
            if distance:
                self.assertEqual(int(bucket[0, distance]), 16 + offset)


class Pieces:
    """Stands for a tokenizer: pieces, the first one unknown; other words are spelled by letters."""

    def __init__(self, *pieces):
        self.pieces = ["<unk>", *pieces]

    def vocab_size(self):
        return len(self.pieces)

    def unk_id(self):
        return 0

    def id_to_piece(self, i):
        return self.pieces[i]

    def piece_to_id(self, piece):
        return self.pieces.index(piece) if piece in self.pieces else 0

    def encode(self, text):
        return [self.piece_to_id(letter) for letter in text]


class Vocabulary(unittest.TestCase):
    def test_rows_are_those_of_the_piece_or_of_its_spelling(self):
        old, new = Pieces("a", "b", "cat"), Pieces("ab", "cat")
        old_rows, rows = torch.randn(4, 5), torch.zeros(3, 5)
        train_transformer.adopt_pieces(rows, old_rows, old, new)
        self.assertTrue(torch.equal(rows[0], old_rows[0]))
        self.assertLess(relative(rows[1], (old_rows[1] + old_rows[2]) / 2), 1e-6)
        self.assertTrue(torch.equal(rows[2], old_rows[3]))

    def test_the_shipped_text_encoder_starts_one_of_the_new_vocabulary(self):
        folder = ROOT / "assets" / "demo"
        if not (folder / "umt5.safetensors").exists():
            self.skipTest("no weights in assets/demo")
        try:
            from prompts import Tokenizer
            tokenizer = Tokenizer()
        except ImportError as error:
            self.skipTest(f"a Python package is not installed: {error}")
        geometry = geometry_from_checkpoint(json.loads((folder / "config.json").read_text()))
        model = train_transformer.Model(geometry, tokenizer.vocabulary)
        train_transformer.load(model, str(folder))
        old = Tokenizer(str(folder / "spiece.model"))
        shipped = umt5.build_from_state_dict(load_file(str(folder / "umt5.safetensors")))
        piece = "\u2581balloon"
        rows = [m.token_embedding.weight[t.pieces.piece_to_id(piece)]
                for m, t in ((model.text, tokenizer), (shipped, old))]
        self.assertLess(relative(rows[0], rows[1].float()), 1e-6)


class Narrowing(unittest.TestCase):
    @torch.no_grad()
    def test_hidden_units_that_repeat_others_are_cut_and_their_share_is_given_to_those(self):
        torch.manual_seed(0)
        wide, tokenizer = WanTransformer(SMALL), lambda sentences: torch.randint(1, 50, (len(sentences), 8))
        text = umt5.UMT5Encoder(50, SMALL.text_dim, 4, 48, 2)
        for block in wide.blocks:
            inside, outside = block.ffn["0"], block.ffn["2"]
            inside.weight[48:], inside.bias[48:] = inside.weight[:48], inside.bias[:48]
            outside.weight[:, 48:] *= 0.05
        torch.nn.init.normal_(wide.head.head.weight, std=0.1)
        state = wide.state_dict()
        products = train_transformer.hidden_products(wide, text, tokenizer, videos=3, blocks=2)
        self.assertEqual([p.shape for p in products], 3 * [(97, 97)])
        cut = {k: v[:, :48] if "ffn.2.weight" in k else v[:48] if ".ffn.0." in k else v for k, v in state.items()}
        state = dict(state)
        for layer, sums in enumerate(products):
            train_transformer.narrow(state, layer, 48, sums)

        def flow(weights):
            model = WanTransformer(replace(SMALL, ffn_dim=len(weights["blocks.0.ffn.0.bias"])))
            model.load_state_dict(weights)
            torch.manual_seed(2)
            x, rows = torch.randn(2, 3, 16, 6, 8), torch.randn(2, 8, 24)
            return model.cached(x, 700.0, torch.zeros(2).long(), model.text_keys(rows), [[] for _ in model.blocks])[0]

        whole = flow(wide.state_dict())
        self.assertGreater(relative(flow(cut), whole), 2e-3)
        self.assertLess(relative(flow(state), whole), 5e-4)


class Gguf(unittest.TestCase):
    def test_matrices_keep_8_bits_and_the_rest_everything(self):
        state = WanTransformer(SMALL).state_dict()
        with tempfile.TemporaryDirectory() as folder:
            gguf.save(state, f"{folder}/transformer.gguf")
            read = load_state(folder)
        self.assertEqual(read.keys(), state.keys())
        for name, value in state.items():
            self.assertEqual(read[name].shape, value.shape)
            error = relative(read[name], value) if value.any() else float(read[name].abs().amax())
            packed = value.ndim == 2 and value.shape[1] % gguf.BLOCK == 0
            self.assertLess(error, 0.01 if packed else 1e-9, name)


class Levels(unittest.TestCase):
    def test_most_noise_levels_are_the_samplers(self):
        torch.manual_seed(0)
        sigma = train_transformer.draw_sigma((4000,))
        share = torch.stack([(sigma - s).abs() < 1e-5 for s in SIGMAS]).float().mean(1)
        self.assertTrue(all(0.15 < s < 0.25 for s in share.tolist()), share)
        self.assertGreater(float(sigma.min()), 0.01)


if __name__ == "__main__":
    unittest.main()
