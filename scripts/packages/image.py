"""An OCI archive that runs `flashblock serve`, built by buildah from scripts/packages/Containerfile."""

import os
import pathlib
import shutil
import subprocess

from packages import common

BASE = "docker.io/library/debian:12-slim"
BASE_FROM_PACKAGES = "localhost/flashblock-base:debian-12"
# Parts of the wheels of torch and NVIDIA that no C++ program loads.
NOT_NEEDED = ("libtorch_python", "libnvperf", "libnvrtc.alt", "libcusolverMg", "libnvshmem_device", "libpcsamplingutil",
              "libcheckpoint", "libshm")


def buildah(*words, **options):
    return subprocess.run(["buildah", *map(str, words)], check=True, **options)


def base_from_packages():
    """The base image made of Debian's packages, for machines that reach no registry."""
    archive = common.WORK / "base.tar"
    if not archive.exists():
        part = archive.with_suffix(".part")
        # What debian:12-slim leaves out, too; and nothing is synced to disk, since the folder is thrown away.
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "locale", "info")]
        with open(common.WORK / "base.log", "wb") as log:
            subprocess.run(["mmdebstrap", "--variant=essential", "--include=libstdc++6", "--dpkgopt=force-unsafe-io",
                            *excluded, "--format=tar", "bookworm", part], check=True, stderr=log,
                           env={**os.environ, "SOURCE_DATE_EPOCH": str(common.epoch())})
        part.replace(archive)
    container = buildah("from", "scratch", stdout=subprocess.PIPE, text=True).stdout.strip()
    buildah("add", "--quiet", container, archive, "/", stdout=subprocess.DEVNULL)
    buildah("commit", "--quiet", "--rm", "--timestamp", common.epoch(), container, BASE_FROM_PACKAGES,
            stdout=subprocess.DEVNULL)
    return BASE_FROM_PACKAGES


def copy_libtorch(site, target):
    """The shared libraries of torch and NVIDIA, laid out as in `site`. They are linked, not copied, where possible."""
    libraries = [*(site / "torch/lib").glob("*.so*"), *(site / "nvidia").glob("*/lib/*.so*")]
    for library in sorted([*libraries, site / "torch/version.py"]):
        if library.name.startswith(NOT_NEEDED) or library.is_symlink():
            continue
        place = target / library.relative_to(site)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(library, place)
        except OSError:  # another file system
            shutil.copy2(library, place)


def make_context(stage, without_libtorch):
    context = common.WORK / "image"
    shutil.rmtree(context, ignore_errors=True)
    for folder in ("libtorch", "models", "videos", "cache"):
        (context / folder).mkdir(parents=True)
    if not without_libtorch:
        site = next(pathlib.Path(os.path.realpath(common.ROOT / ".venv")).glob("lib/python3*/site-packages"))
        copy_libtorch(site, context / "libtorch")
    shutil.copytree(stage, context / "flashblock")
    for file in ("Containerfile", "health"):
        shutil.copy(common.ROOT / "scripts/packages" / file, context)
    return context


def write_archive(name, path):
    """The image as an OCI archive. buildah's own archives carry the time at which they were written."""
    layout, part = common.WORK / "layout", path.with_suffix(".part")
    shutil.rmtree(layout, ignore_errors=True)
    buildah("push", "--quiet", name, f"oci:{layout}:{name}", stdout=subprocess.DEVNULL)
    subprocess.run(["tar", "-C", layout, "--sort=name", "--owner=0", "--group=0", "--numeric-owner",
                    "--mode=u=rwX,go=rX", f"--mtime=@{common.epoch()}", "-cf", part,
                    "blobs", "index.json", "oci-layout"], check=True)
    shutil.rmtree(layout)
    part.replace(path)


def write(stage, base, without_libtorch):
    """Writes the archive of the image and compose.yaml, and returns the archive's path."""
    common.DIST.mkdir(exist_ok=True)
    base = base_from_packages() if base == "debian-packages" else base or BASE
    context = make_context(stage, without_libtorch)
    name = f"localhost/flashblock:{common.version()}"
    with open(common.WORK / "image.log", "wb") as log:
        buildah("build", "--isolation=chroot", "--timestamp", common.epoch(), "--format=docker",
                f"--build-arg=BASE={base}", "--tag", name, "--tag", "localhost/flashblock:latest", context,
                stdout=log, stderr=log)
    shutil.rmtree(context)
    path = common.DIST / f"flashblock-{common.version()}-image{'-without-libtorch' if without_libtorch else ''}.tar"
    write_archive(name, path)
    shutil.copy(common.ROOT / "scripts/packages/compose.yaml", common.DIST)
    common.report(path)
    return path
