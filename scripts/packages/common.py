"""What the packages share: version, time, folders."""

import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DIST = ROOT / "dist"
WORK = ROOT / "build" / "bundle"


def version():
    """The version, whose one place is CMakeLists.txt."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(r"^project\(flashblock VERSION ([0-9.]+)", text, re.MULTILINE)[1]


def torch_version():
    """The version of LibTorch that the program is built with, whose one place is scripts/setup."""
    return re.search(r"^torch_version=(\S+)", (ROOT / "scripts/setup").read_text(encoding="utf-8"), re.MULTILINE)[1]


def epoch():
    """The time that files in packages carry: SOURCE_DATE_EPOCH, else that of the commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or subprocess.check_output(["git", "log", "-1", "--format=%ct"], cwd=ROOT))


def bundle_name():
    return f"flashblock-{version()}-linux-x86_64"


def stage(pack):
    """Builds what is missing and fills the folder of the bundle, which it returns; with `pack` also the tarball."""
    command = [ROOT / "scripts/bundle", "--with-demo-model", *([] if pack else ["--unpacked"])]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch())})
    return WORK / bundle_name()


def files_below(folder):
    """All files below a folder, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def report(path):
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
