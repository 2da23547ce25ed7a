"""The command `flashblock` of the wheel: starts the program with the LibTorch of this environment."""

import glob
import importlib.util
import os
import sys

TORCH = "@torch@"  # the version that the program was built with; patch versions of it have its interface
HERE = os.path.dirname(os.path.abspath(__file__))


def fail(message):
    sys.exit(f"flashblock: error: {message}")


def torch_folder():
    """The folder of the package torch, which is not imported. Of FLASHBLOCK_TORCH, else of this environment."""
    folder = os.environ.get("FLASHBLOCK_TORCH")
    if not folder:
        spec = importlib.util.find_spec("torch")
        folder = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else ""
    wanted = f"the package torch {TORCH} with CUDA; install it with: {sys.executable} -m pip install torch=={TORCH}"
    if not folder or not os.path.exists(os.path.join(folder, "lib", "libtorch_cpu.so")):
        fail(f"found no LibTorch{' in ' + folder if folder else ''}, wanted {wanted}")
    with open(os.path.join(folder, "version.py"), encoding="utf-8") as file:
        version = next((line.split("'")[1] for line in file if line.startswith("__version__ = '")), "unknown")
    if not version.startswith(TORCH.rpartition(".")[0] + "."):
        fail(f"the LibTorch in {folder} is {version}, wanted {wanted}")
    if not os.path.exists(os.path.join(folder, "lib", "libtorch_cuda.so")):
        fail(f"the LibTorch in {folder} is {version}, a build without CUDA, wanted {wanted}")
    return folder


def main():
    torch = torch_folder()
    libraries = [os.path.join(HERE, "lib"), os.path.join(torch, "lib")]
    libraries += sorted(glob.glob(os.path.join(os.path.dirname(torch), "nvidia", "*", "lib")))
    libraries += filter(None, [os.environ.get("LD_LIBRARY_PATH")])
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}
    os.execve(os.path.join(HERE, "bin", "flashblock"), ["flashblock", *sys.argv[1:]], environment)


if __name__ == "__main__":
    main()
