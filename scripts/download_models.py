"""The work of scripts/download-models: see there."""

import argparse
import fnmatch
import hashlib
import json
import os
import re
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

PRESETS = Path(__file__).resolve().parent.parent / "configs" / "models"
CHECKED = "checked.json"  # size, time and SHA-256 of files that were compared with the server's


class Refused(Exception):
    """What a user must know; `status` as in the program."""

    def __init__(self, message, status=5):
        super().__init__(message)
        self.status = status


@dataclass
class RemoteFile:
    repository: str
    revision: str
    name: str
    folder: Path
    size: int | None
    sha256: str | None  # where the server knows it: of everything that is not small text

    @property
    def path(self):
        return self.folder / self.name


def default_folder():
    for folder in os.environ.get("FLASHBLOCK_MODELS", "").split(":"):
        if folder:
            return Path(folder)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "flashblock" / "models"


def read_preset(name):
    path = PRESETS / f"{name}.yaml"
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or not path.is_file():
        names = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
        raise Refused(f"there is no model '{name}'; there are: {names}", 2)
    text = path.read_text()
    preset = yaml.safe_load(text)
    if "unsupported" in preset:
        raise Refused(f"{path}: this model cannot be rendered: {preset['unsupported']}", 2)
    return text, preset["sources"]


def names_in(api, repository, revision, patterns):
    """The files that `patterns` name; a pattern with * is matched against the repository's list."""
    listed = None
    for pattern in patterns:
        if "*" not in pattern:
            yield pattern
            continue
        if listed is None:
            listed = api.list_repo_files(repository, revision=revision)
        found = sorted(name for name in listed if fnmatch.fnmatchcase(name, pattern))
        if not found:
            raise Refused(f"{repository}: has no file {pattern}; the repository has changed: see its page")
        yield from found


def find_files(sources, folder):
    api = HfApi()
    for source in sources:
        repository, revision = source["repository"], source.get("revision", "main")
        for name in names_in(api, repository, revision, source["files"]):
            data = get_hf_file_metadata(hf_hub_url(repository, name, revision=revision))
            sha256 = data.etag if data.etag and re.fullmatch("[0-9a-f]{64}", data.etag) else None
            target = Path(os.path.normpath(folder / source.get("folder", ".")))
            yield RemoteFile(repository, data.commit_hash or revision, name, target, data.size, sha256)


def check_space(files, folder):
    missing = sum(f.size or 0 for f in files if not f.path.exists())
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise Refused(f"{folder}: {missing / 1e9:.1f} GB are wanted, and {free / 1e9:.1f} GB are free; "
                      "name another folder")


class Checks:
    """Which files were compared with the server's checksum, so that they are not read again at every start."""

    def __init__(self, folder):
        self.file = folder / CHECKED
        try:
            self.known = json.loads(self.file.read_text())
        except (OSError, ValueError):
            self.known = {}

    def check(self, remote):
        state = remote.path.stat()
        if remote.size is not None and state.st_size != remote.size:
            self.reject(remote, f"has {state.st_size} bytes, the server says {remote.size}")
        stamp = [state.st_size, state.st_mtime_ns, remote.sha256]
        if remote.sha256 is None or self.known.get(remote.name) == stamp:
            return
        with open(remote.path, "rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != remote.sha256:
            self.reject(remote, f"has the SHA-256 {found}, the server says {remote.sha256}")
        self.known[remote.name] = stamp
        write_file(self.file, json.dumps(self.known, indent=1) + "\n")

    @staticmethod
    def reject(remote, what):
        remote.path.unlink()
        raise Refused(f"{remote.path}: {what}; the damaged file was removed: run the same command again")


def write_file(path, text):
    """Never half-written under its name."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)


def write_model_file(text, folder):
    path = folder / "model.yaml"
    if path.exists() and path.read_text() != text:
        say(f"{path} is there with changes of yours and is left as it is")
        return
    write_file(path, text)


def say(text):
    print(f"flashblock: {text}", file=sys.stderr)


def download(name, root):
    text, sources = read_preset(name)
    folder = root / name
    files = list(find_files(sources, folder))
    check_space(files, folder)
    for number, remote in enumerate(files, 1):
        size = f", {remote.size / 1e6:.0f} MB" if remote.size else ""
        say(f"{number} of {len(files)}: {remote.repository} {remote.name}{size}")
        hf_hub_download(remote.repository, remote.name, revision=remote.revision, local_dir=remote.folder)
        Checks(remote.folder).check(remote)
    write_model_file(text, folder)
    print(f"{folder / 'model.yaml'}: complete; render with: flashblock render \"...\" --model {folder}")


def list_presets():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no fault
    for path in sorted(PRESETS.glob("*.yaml")):
        text = path.read_text()
        mark = " (cannot be rendered)" if "\nunsupported:" in text else ""
        print(f"{path.stem}{mark}\n    {text.splitlines()[0].lstrip('# ')}")


def one_line(error):
    return " ".join(str(error).split())


def explain(error):
    if isinstance(error, Refused):
        return str(error), error.status
    if isinstance(error, GatedRepoError):
        return f"{one_line(error)}; accept the licence on the model's page and set HF_TOKEN", 5
    if isinstance(error, (RepositoryNotFoundError, EntryNotFoundError)):
        return f"{one_line(error)}; the repository has moved: see configs/models for its source", 5
    return f"{one_line(error)}; what has arrived is kept: run the same command again to go on", 5


def main():
    parser = argparse.ArgumentParser(prog="scripts/download-models", description="Fetches a published model.")
    parser.add_argument("name", nargs="?", help="a model of configs/models")
    parser.add_argument("folder", nargs="?", type=Path, help=f"target folder (default {default_folder()})")
    parser.add_argument("--list", action="store_true", help="list the models")
    arguments = parser.parse_args()
    if arguments.list:
        return list_presets()
    if not arguments.name:
        parser.error("name a model, or give --list")
    try:
        return download(arguments.name, (arguments.folder or default_folder()).absolute())
    except KeyboardInterrupt:
        say("interrupted; what has arrived is kept: run the same command again to go on")
        return 130
    except (Refused, HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        message, status = explain(error)
        say(f"error: {message}")
        return status
    except Exception as error:  # the client's own errors of the network have no common base
        if type(error).__module__.split(".")[0] not in ("httpx", "httpx2", "httpcore", "huggingface_hub"):
            raise
        message, status = explain(error)
        say(f"error: {message}")
        return status


if __name__ == "__main__":
    sys.exit(main())
