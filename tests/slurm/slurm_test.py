#!/usr/bin/env python3
"""scripts/slurm on a real Slurm with two nodes: lost nodes, time limits, scancel, requeues.

    apt-get install slurmctld slurmd slurm-client munge ffmpeg
    sudo python3 tests/slurm/slurm_test.py [TEST...]

FLASHBLOCK_PROGRAM names another program than build/cuda-release/app/flashblock, FLASHBLOCK_FAULTY_PROGRAM another one
whose workers fail; FLASHBLOCK_SLURM_FOLDER a folder that is kept. Without Slurm the tests are skipped (exit status 77),
or fail if FLASHBLOCK_REQUIRE_SLURM=1 is set.
"""

import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import cluster
from cluster import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("FLASHBLOCK_PROGRAM", str(ROOT / "build/cuda-release/app/flashblock"))
FAULTY_PROGRAM = os.environ.get("FLASHBLOCK_FAULTY_PROGRAM",
                                str(ROOT / "build/cuda-release/tests/end_to_end/faulty_program"))
MODEL = ROOT / "assets/demo"
PATIENCE = 1200  # seconds; no test waits for a fixed time, this only ends one that hangs
STARTED = re.compile(r"^(\S+)  running", re.MULTILINE)
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT"}


class Slurm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        kept = os.environ.get("FLASHBLOCK_SLURM_FOLDER")
        cls.temporary = None if kept else tempfile.TemporaryDirectory(prefix="flashblock-slurm-")
        cls.folder = pathlib.Path(kept or cls.temporary.name).resolve()
        os.environ.update(FLASHBLOCK=PROGRAM, XDG_CACHE_HOME=str(cls.folder / "cache"))
        os.environ.pop("OMP_NUM_THREADS", None)
        cls.cluster = cluster.Cluster(cls.folder / "slurm")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        if cls.temporary:
            cls.temporary.cleanup()

    def setUp(self):
        self.batch = self.folder / self._testMethodName
        self.batch.mkdir()

    def write_jobs(self, jobs, seconds):
        lines = [f"defaults: {{model: {MODEL}, device: cpu, seconds: {seconds}, output: \"videos/{{name}}.mp4\",",
                 "           record: \"videos/{name}.safetensors\"}", "jobs:"]
        (self.batch / "jobs.yaml").write_text("\n".join(lines + [f"  - {job}" for job in jobs]) + "\n")

    def submit(self, *words, environment=None):
        """The number of the job array."""
        done = subprocess.run([ROOT / "scripts/slurm/submit", self.batch / "jobs.yaml", *words], capture_output=True,
                              text=True, env={**os.environ, **(environment or {})})
        self.assertEqual(done.returncode, 0, done.stderr)
        return re.search(r"Submitted batch job (\d+)", done.stdout)[1]

    def states(self, job):
        return {number: facts["JobState"] for number, facts in self.cluster.tasks(job).items()}

    def wait_for_end(self, job):
        self.assertTrue(wait_until(lambda: set(self.states(job).values()) <= ENDED, PATIENCE), self.said())
        return self.states(job)

    def said(self):
        return "".join(log.read_text() for log in sorted((self.batch / "jobs.batch/log").glob("*.txt")))

    def started(self):
        """How often each video was started or resumed, according to the logs."""
        videos = STARTED.findall(self.said())
        return {video: videos.count(video) for video in videos}

    def segments(self, video):
        return len(list((self.batch / f"videos/{video}.parts").glob("0*.m4s")))

    def wait_for_segments(self, video, count):
        self.assertTrue(wait_until(lambda: self.segments(video) >= count, PATIENCE), f"{video}:\n{self.said()}")

    def task_of(self, job, number):
        return self.cluster.tasks(job)[number]

    def resumed_blocks(self, video):
        return json.loads((self.batch / f"videos/{video}.json").read_text())["video"]["resumed_frame_blocks"]

    def render_plain(self, name, prompt, seed, seconds):
        """One `flashblock render` outside of Slurm, as a task does it: on one core."""
        plain = self.batch / name
        subprocess.run([PROGRAM, "render", prompt, "--seed", str(seed), "--seconds", str(seconds), "--model", MODEL,
                        "--device", "cpu", "-o", f"{plain}.mp4", "--record", f"{plain}.safetensors", "--quiet"],
                       check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return plain

    def expect_plain_video(self, video, prompt, seed, seconds):
        """The video is a plain one, bit for bit: its coded frames, its latents and all else that is recorded."""
        plain, ours = self.render_plain(f"plain-{video}", prompt, seed, seconds), self.batch / f"videos/{video}"
        self.assertEqual(stream_hash(f"{ours}.mp4"), stream_hash(f"{plain}.mp4"), video)
        self.assertEqual(tensors(f"{ours}.safetensors"), tensors(f"{plain}.safetensors"), video)
        self.assertFalse(pathlib.Path(f"{ours}.parts").exists())

    def test_a_lost_node(self):
        """Three tasks of two videos on two nodes; one node is lost while its task renders its second video."""
        prompt = "a red balloon drifts over snowy hills"
        self.write_jobs([f"{{name: balloon, prompt: {prompt}, seeds: [1, 2, 3, 4, 5, 6]}}"], seconds=6)
        job = self.submit("--tasks", "3")
        self.assertTrue(wait_until(lambda: self.segments("balloon-2") >= 2 or self.segments("balloon-4") >= 2,
                                   PATIENCE))
        task = 1 if self.segments("balloon-2") >= 2 else 2
        finished, unfinished = f"balloon-{2 * task - 1}", f"balloon-{2 * task}"
        node = self.task_of(job, task)["NodeList"]
        made = os.stat(self.batch / f"videos/{finished}.mp4").st_mtime_ns
        killed = self.cluster.lose_node(node)
        segments = self.segments(unfinished)
        print(f"{node} lost with {killed} processes, {unfinished} at {segments} segments", flush=True)
        self.assertEqual(set(self.wait_for_end(job).values()), {"COMPLETED"}, self.said())
        self.cluster.start_node(node)

        lost = self.task_of(job, task)
        self.assertEqual(lost["Restarts"], "1")
        self.assertNotEqual(lost["NodeList"], node)
        self.assertEqual(self.started(), {f"balloon-{n}": 1 + (f"balloon-{n}" == unfinished) for n in range(1, 7)})
        self.assertEqual(os.stat(self.batch / f"videos/{finished}.mp4").st_mtime_ns, made)
        self.assertGreaterEqual(self.resumed_blocks(unfinished), segments)
        counts = json.loads((self.batch / "report.json").read_text())["counts"]
        self.assertEqual((counts["videos"], counts["done"]), (6, 6))
        for seed in range(1, 7):
            self.expect_plain_video(f"balloon-{seed}", prompt, seed, 6)

        # Submitted again, nothing is rendered.
        before = self.started()
        self.assertEqual(set(self.wait_for_end(self.submit()).values()), {"COMPLETED"})
        self.assertEqual(self.started(), before)

    def test_time_limit(self):
        """A video that takes longer than the time limit of a task is made by several runs of the task."""
        prompt = "a green boat on the sea in rain"
        begun = time.monotonic()
        self.render_plain("speed", prompt, 3, 3)
        seconds = max(6, round(3 * 100 / (time.monotonic() - begun)))  # of video: 100 s on this machine
        self.write_jobs([f"{{name: boat, prompt: {prompt}, seed: 3}}"], seconds)
        job = self.submit("--time=1", "--signal=B:USR1@30", "--requeues", "30")
        self.assertEqual(self.wait_for_end(job), {1: "COMPLETED"}, self.said())
        restarts = int(self.task_of(job, 1)["Restarts"])
        print(f"{seconds} s of video in {1 + restarts} runs", flush=True)
        self.assertGreaterEqual(restarts, 1)
        self.assertIn("the time limit is near: requeued", self.said())
        self.assertGreater(self.resumed_blocks("boat"), 0)
        self.expect_plain_video("boat", prompt, 3, seconds)

    def test_cancelled_and_requeued_by_hand(self):
        prompt = "a red balloon at night"
        self.write_jobs([f"{{name: night, prompt: {prompt}, seed: 5}}"], seconds=12)
        job = self.submit()
        self.wait_for_segments("night", 2)
        self.cluster.run("scontrol", "requeue", f"{job}_1")
        self.assertTrue(wait_until(lambda: "start 2" in self.said(), PATIENCE), self.said())
        self.wait_for_segments("night", self.segments("night") + 2)
        self.cluster.run("scancel", job)
        self.assertEqual(self.wait_for_end(job), {1: "CANCELLED"})
        self.assertFalse(wait_until(lambda: self.states(job) != {1: "CANCELLED"}, 20), "it was requeued")
        segments = self.segments("night")
        self.assertGreaterEqual(segments, 2)
        self.assertEqual(self.wait_for_end(self.submit()), {1: "COMPLETED"}, self.said())
        self.assertGreaterEqual(self.resumed_blocks("night"), segments)
        self.expect_plain_video("night", prompt, 5, 12)

    def test_only_temporary_failures_are_requeued(self):
        self.write_jobs(["{name: short, prompt: a red balloon at dawn, seed: 1}",
                         "{name: hopeless, prompt: a red balloon at dawn, seed: 2}"], seconds=2)
        # Out of memory in every run; then an existing video of other settings.
        fault = {"FLASHBLOCK": FAULTY_PROGRAM, "FLASHBLOCK_TEST_FAULT": "memory:short"}
        job = self.submit("--requeues", "1", "--", "--retries", "0", environment=fault)
        self.assertEqual(self.wait_for_end(job), {1: "FAILED", 2: "COMPLETED"}, self.said())
        self.assertEqual(self.task_of(job, 1)["Restarts"], "1")
        self.assertIn("this was start 2: not requeued", self.said())
        self.write_jobs(["{name: short, prompt: a red balloon at dawn, seed: 1}",
                         "{name: hopeless, prompt: a red balloon at dawn, seed: 9}"], seconds=2)
        job = self.submit()
        self.assertEqual(self.wait_for_end(job), {1: "COMPLETED", 2: "FAILED"}, self.said())
        self.assertEqual(self.task_of(job, 2)["Restarts"], "0")
        self.assertEqual(self.task_of(job, 2)["ExitCode"], "2:0")

    def test_wrong_jobs_are_not_submitted(self):
        self.write_jobs(["{name: a, prompt: a red balloon, sed: 1}"], seconds=2)
        done = subprocess.run([ROOT / "scripts/slurm/submit", self.batch / "jobs.yaml"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("jobs.yaml:4: ", done.stderr)
        self.assertIn("nothing was submitted", done.stderr)


def stream_hash(video):
    return subprocess.run(["ffmpeg", "-v", "error", "-i", video, "-c", "copy", "-f", "streamhash", "-"], check=True,
                          capture_output=True, text=True).stdout


def tensors(file):
    """Names, shapes and bytes of a safetensors file."""
    data = pathlib.Path(file).read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    contents = {}
    for name, entry in header.items():
        first, last = (start + offset for offset in entry["data_offsets"])
        contents[name] = (entry["dtype"], entry["shape"], data[first:last])
    return contents


def main():
    reason = cluster.why_not()
    if reason:
        print(f"Slurm is not tested: {reason}", file=sys.stderr)
        sys.exit(1 if os.environ.get("FLASHBLOCK_REQUIRE_SLURM") == "1" else 77)
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
