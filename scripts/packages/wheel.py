"""A wheel: the bundle's program, libraries, models and licences, and a command that starts it. Format: PEP 427."""

import base64
import hashlib
import os
import subprocess
import time
import zipfile

from packages import common

SUMMARY = "Renders minute-long videos from text prompts, on one machine"
# The folder of the bundle's name and the launcher are replaced by the package and its command.
PARTS = ["bin", "lib", "assets", "configs"]
NOT_NEEDED = {"lib/environment.sh"}


def platform_tag():
    """The program runs with this machine's glibc or a later one."""
    glibc = subprocess.check_output(["getconf", "GNU_LIBC_VERSION"], text=True).split()[1]
    return f"manylinux_{glibc.replace('.', '_')}_x86_64"


def metadata():
    series = common.torch_version().rpartition(".")[0]
    readme = (common.ROOT / "README.md").read_text(encoding="utf-8")
    return (f"Metadata-Version: 2.1\nName: flashblock\nVersion: {common.version()}\nSummary: {SUMMARY}\n"
            "License: GPL-3.0-or-later (with x264); the sources of flashblock are under Apache-2.0\n"
            "Requires-Python: >=3.10\n"
            f"Requires-Dist: torch=={series}.*\nDescription-Content-Type: text/markdown\n\n{readme}")


class Wheel:
    """A zip archive that lists its files with their checksums; all carry one time, so that its bytes are repeatable."""

    def __init__(self, path):
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self.date = time.gmtime(max(common.epoch(), 315532800))[:6]  # a zip archive knows no time before 1980
        self.record = []

    def add(self, name, content, executable=False):
        entry = zipfile.ZipInfo(name, self.date)
        entry.external_attr = (0o100755 if executable else 0o100644) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        self.archive.writestr(entry, content, compresslevel=9)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        self.record.append(f"{name},sha256={digest},{len(content)}")

    def close(self, record_name):
        lines = [*self.record, f"{record_name},,", ""]
        self.archive.writestr(zipfile.ZipInfo(record_name, self.date), "\n".join(lines))
        self.archive.close()


def write(stage):
    """Writes the wheel of the bundle in the folder `stage`, and returns its path."""
    name = f"flashblock-{common.version()}"
    info = f"{name}.dist-info"
    path = common.DIST / f"{name}-py3-none-{platform_tag()}.whl"
    common.DIST.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    wheel = Wheel(part)
    wheel.add("flashblock/__init__.py", b'"""The program flashblock; its command is in __main__."""\n')
    main = (common.ROOT / "scripts/packages/flashblock_main.py").read_text(encoding="utf-8")
    wheel.add("flashblock/__main__.py", main.replace("@torch@", common.torch_version()).encode())
    for folder in PARTS:
        for file in common.files_below(stage / folder):
            relative = file.relative_to(stage).as_posix()
            if relative not in NOT_NEEDED:
                wheel.add(f"flashblock/{relative}", file.read_bytes(), os.access(file, os.X_OK))
    for file in common.files_below(stage / "share"):  # man page and completions, where the environment keeps them
        wheel.add(f"{name}.data/data/share/{file.relative_to(stage / 'share').as_posix()}", file.read_bytes())
    for licence in common.files_below(stage / "licences"):
        wheel.add(f"{info}/licenses/{licence.name}", licence.read_bytes())
    wheel.add(f"{info}/METADATA", metadata().encode())
    wheel.add(f"{info}/WHEEL", (f"Wheel-Version: 1.0\nGenerator: flashblock {common.version()}\n"
                                f"Root-Is-Purelib: false\nTag: py3-none-{platform_tag()}\n").encode())
    wheel.add(f"{info}/entry_points.txt", b"[console_scripts]\nflashblock = flashblock.__main__:main\n")
    wheel.close(f"{info}/RECORD")
    part.replace(path)
    common.report(path)
    return path
