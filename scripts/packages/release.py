"""A release: all packages with checksums, an SBOM and notes."""

import hashlib
import json
import re
import subprocess
import time
import uuid

from packages import common, image, wheel

# Libraries of headers alone, which leave no file of their own: Debian package, licence.
HEADERS = {"libboost-dev": "BSL-1.0", "libcli11-dev": "BSD-3-Clause", "nlohmann-json3-dev": "MIT",
           "libutf8proc-dev": "MIT"}


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def package_version(package):
    return subprocess.check_output(["dpkg-query", "-W", "-f", "${source:Package} ${source:Version}", package],
                                   text=True).split()


def library_component(stage, library, package):
    source, version = package_version(package)
    return {"type": "library", "name": source, "version": version, "bom-ref": f"lib/{library}",
            "purl": f"pkg:deb/debian/{source}@{version}?arch=source",
            "description": f"as {library}" + (", built with fewer parts" if package == "libavcodec-dev" else ""),
            "hashes": [{"alg": "SHA-256", "content": sha256(stage / "lib" / library)}]}


def header_component(package, licence):
    source, version = package_version(package)
    return {"type": "library", "name": source, "version": version, "bom-ref": f"headers/{package}",
            "purl": f"pkg:deb/debian/{source}@{version}?arch=source", "description": "compiled into the program",
            "licenses": [{"license": {"id": licence}}]}


def model_component(stage, folder):
    weights = [path for path in common.files_below(folder) if path.suffix == ".safetensors"]
    return {"type": "machine-learning-model", "name": f"flashblock-{folder.name}", "version": common.version(),
            "bom-ref": f"model/{folder.name}", "licenses": [{"license": {"id": "Apache-2.0"}}],
            "components": [{"type": "file", "name": path.relative_to(stage).as_posix(),
                            "hashes": [{"alg": "SHA-256", "content": sha256(path)}]} for path in weights]}


def sbom(stage):
    """What the packages contain, as CycloneDX 1.5: https://cyclonedx.org/docs/1.5/json."""
    program = {"type": "application", "name": "flashblock", "version": common.version(), "bom-ref": "flashblock",
               "purl": f"pkg:pypi/flashblock@{common.version()}", "licenses": [{"license": {"id": "Apache-2.0"}}],
               "hashes": [{"alg": "SHA-256", "content": sha256(stage / "bin/flashblock")}]}
    torch = {"type": "library", "name": "torch", "version": common.torch_version(), "bom-ref": "torch",
             "purl": f"pkg:pypi/torch@{common.torch_version()}", "scope": "required",
             "description": "LibTorch and CUDA: in the image; fetched for wheel and tarball",
             "licenses": [{"license": {"id": "BSD-3-Clause"}}]}
    lines = sorted(set((common.WORK / "libraries.txt").read_text(encoding="utf-8").splitlines()))
    components = [torch, *(library_component(stage, *line.split()) for line in lines)]
    components += [header_component(*header) for header in HEADERS.items()]
    components += [model_component(stage, folder) for folder in sorted((stage / "assets").iterdir())]
    references = [component["bom-ref"] for component in components]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, program['hashes'][0]['content'])}",
            "metadata": {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(common.epoch())),
                         "component": program},
            "components": components, "dependencies": [{"ref": "flashblock", "dependsOn": references}]}


def notes():
    """The section of this version in CHANGELOG.md, or what is unreleased."""
    text = (common.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    pattern = re.compile(r"^## \[?(Unreleased|[0-9.]+)\]?[^\n]*\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    sections = dict(pattern.findall(text))
    section = sections.get(common.version(), sections.get("Unreleased", ""))
    return f"# flashblock {common.version()}\n\n{section.strip()}\n"


def write(base, without_libtorch):
    """Writes everything, and SHA256SUMS over it last."""
    stage = common.stage(pack=True)
    packages = [common.DIST / f"{common.bundle_name()}.tar.xz", wheel.write(stage),
                image.write(stage, base, without_libtorch)]
    name = f"flashblock-{common.version()}"
    bill, text = common.DIST / f"{name}.cdx.json", common.DIST / f"{name}-notes.md"
    bill.write_text(json.dumps(sbom(stage), indent=1) + "\n", encoding="utf-8")
    text.write_text(notes(), encoding="utf-8")
    files = [*packages, common.DIST / "compose.yaml", bill, text]
    sums = "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(files))
    (common.DIST / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(sums, end="")
