"""scripts/prepare-vbench: the jobs that it writes, checked by the program.

usage: python3 -m unittest tests/scripts/prepare_vbench_test.py
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("FLASHBLOCK_PROGRAM", ROOT / "build/cuda-release/app/flashblock")
INFO = [{"prompt_en": "a red ball: it's round", "dimension": ["color", "temporal_flickering"]},
        {"prompt_en": "a dog, \"quoted\"", "dimension": ["color"]},
        {"prompt_en": "a lake", "dimension": ["scene"]}]


class PrepareVBenchTest(unittest.TestCase):
    def prepare(self, *options):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "info.json").write_text(json.dumps(INFO), encoding="utf-8")
        jobs = folder / "jobs.yaml"
        run = subprocess.run([sys.executable, ROOT / "scripts/prepare-vbench", jobs, "--info", folder / "info.json",
                              *options], capture_output=True, text=True)
        return run, jobs

    def test_each_prompt_gets_the_samples_of_its_dimensions(self):
        run, jobs = self.prepare()
        self.assertEqual(run.returncode, 0, run.stderr)
        outputs = [job["output"] for job in json.loads(jobs.read_text())["jobs"]]
        self.assertEqual(len(outputs), 25 + 5 + 5)
        self.assertIn("videos/a red ball: it's round-24.mp4", outputs)
        self.assertIn("videos/a lake-4.mp4", outputs)
        lines = [line for line in run.stdout.splitlines() if "eval_long.py" in line]
        commands = {line.split("--dimension ")[1].split()[0]: line for line in lines}
        self.assertEqual(sorted(commands), ["color", "scene", "temporal_flickering"])
        self.assertIn("--mode long_vbench_standard --dev_flag", commands["scene"])
        self.assertNotIn("samples", commands["scene"])
        self.assertIn("--num_of_samples_per_prompt 25 --static_filter_flag", commands["temporal_flickering"])
        self.assertIn(f"--videos_path {jobs.resolve().parent / 'videos'} ", commands["color"])

    def test_the_program_takes_the_jobs(self):
        run, jobs = self.prepare("--dimension", "color", "--samples", "2", "--seconds", "1")
        self.assertEqual(run.returncode, 0, run.stderr)
        checked = subprocess.run([PROGRAM, "batch", jobs, "--dry-run"], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertEqual(sum(f"-{index}.mp4" in line for line in checked.stdout.splitlines() for index in (0, 1)), 4)

    def test_an_unknown_dimension_is_refused(self):
        run, _ = self.prepare("--dimension", "colour")
        self.assertEqual(run.returncode, 1)
        self.assertIn("wanted of color, scene, temporal_flickering", run.stderr)


if __name__ == "__main__":
    unittest.main()
