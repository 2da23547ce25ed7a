"""The completion scripts of the program, each in its shell; the man page in groff. Shells that are missing are skipped,
unless FLASHBLOCK_REQUIRE_SHELLS=1.

usage: FLASHBLOCK_PROGRAM=build/cuda-release/app/flashblock python3 -m unittest tests/scripts/completion_test.py
"""

import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("FLASHBLOCK_PROGRAM", ROOT / "build/cuda-release/app/flashblock")


def printed(*words):
    return subprocess.run([PROGRAM, *words], check=True, capture_output=True, text=True).stdout


class CompletionTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "a start.png").touch()

    def need(self, shell):
        if not shutil.which(shell):
            self.assertNotEqual(os.environ.get("FLASHBLOCK_REQUIRE_SHELLS"), "1", f"{shell} is required")
            self.skipTest(f"{shell} is not installed")

    def check(self, complete):
        """complete(line) gives the completions of a command line."""
        self.assertLessEqual({"render", "serve", "batch", "analyze", "info", "doctor"}, complete("flashblock "))
        self.assertEqual(complete("flashblock ren"), {"render"})
        self.assertEqual(complete("flashblock render --prompt-f"), {"--prompt-file"})
        self.assertEqual(complete("flashblock render --attention "), {"exact", "flashblock"})
        self.assertEqual(complete("flashblock analyze fid"), {"fidelity"})
        self.assertLessEqual({"--stills"}, complete("flashblock analyze fidelity --st"))
        self.assertEqual(complete("flashblock render --stil"), set())
        self.assertEqual(complete("flashblock completion z"), {"zsh"})
        self.assertEqual(complete("flashblock help exit"), {"exit-status"})
        self.assertIn("recipe.sink_frames=", complete("flashblock render --set recipe.sink"))
        self.assertEqual(complete("flashblock render --seed "), set())

    def test_bash(self):
        script = self.folder / "flashblock.bash"
        script.write_text(printed("completion", "bash"), encoding="utf-8")

        def complete(line):
            words = line.split(" ")
            quoted = " ".join(f"'{word}'" for word in words)
            command = (f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _flashblock; "
                       "printf '%s\\n' \"${COMPREPLY[@]}\"")
            run = subprocess.run(["bash", "--norc", "-c", command], check=True, capture_output=True, text=True,
                                 cwd=self.folder)
            self.assertEqual(run.stderr, "")
            return set(filter(None, run.stdout.splitlines()))

        self.check(complete)
        self.assertEqual(complete("flashblock render --image a"), {"a start.png"})
        self.assertEqual(complete("flashblock render --attention = ex"), {"exact"})  # "=" is a word of its own

    def test_fish(self):
        self.need("fish")
        script = self.folder / "flashblock.fish"
        script.write_text(printed("completion", "fish"), encoding="utf-8")

        def complete(line):
            run = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], check=True,
                                 capture_output=True, text=True, cwd=self.folder,
                                 env={**os.environ, "HOME": self.folder})
            self.assertEqual(run.stderr, "")
            return {entry.split("\t")[0] for entry in run.stdout.splitlines()}

        self.check(complete)
        self.assertIn("a start.png", complete("flashblock render --image a"))

    def test_zsh(self):
        """An interactive shell on a terminal that is given a tab; the completed line shows what it offered."""
        self.need("zsh")
        (self.folder / "_flashblock").write_text(printed("completion", "zsh"), encoding="utf-8")
        syntax = subprocess.run(["zsh", "-n", self.folder / "_flashblock"], capture_output=True, text=True)
        self.assertEqual(syntax.stderr, "")
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.folder)
            os.execve(shutil.which("zsh"), ["zsh", "-f", "-i"],
                      {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(self.folder), "COLUMNS": "200"})
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.close, terminal)

        def read_until(mark):
            text, end = "", time.monotonic() + 60
            while mark not in text and time.monotonic() < end:
                if select.select([terminal], [], [], 0.5)[0]:
                    text += os.read(terminal, 65536).decode(errors="replace")
            self.assertIn(mark, text)
            return text

        def shows(line, completed):
            os.write(terminal, f"{line}\t".encode())
            read_until(completed)
            os.write(terminal, b"\x15\n")  # clears the line
            read_until("READY")

        os.write(terminal, f"PS1='READY> '; fpath=({self.folder} $fpath); autoload -Uz compinit; compinit -u -D; "
                           "echo LOADE'D'\n".encode())
        read_until("LOADED")
        shows("flashblock ren", "render ")
        shows("flashblock render --prompt-f", "--prompt-file")
        shows("flashblock render --attention=ex", "exact")
        shows("flashblock analyze fid", "fidelity")
        shows("flashblock help exit", "exit-status")
        shows("flashblock render --image a", "a\\ start.png")


class ManualPageTest(unittest.TestCase):
    def test_groff_prints_it_without_a_warning(self):
        if not shutil.which("groff"):
            self.skipTest("groff is not installed")
        run = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-c"], input=printed("man"), check=True,
                             capture_output=True, text=True)
        self.assertEqual(run.stderr, "")
        page = re.sub(".\b", "", run.stdout)  # bold and italic type are overstruck
        for wanted in ("NAME", "flashblock render", "--prompt-at", "recipe.steps", "FLASHBLOCK_MODELS", "EXIT STATUS"):
            self.assertIn(wanted, page)


if __name__ == "__main__":
    unittest.main()
