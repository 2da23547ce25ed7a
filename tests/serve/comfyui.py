#!/usr/bin/env python3
"""The node of examples/comfyui against a server, with a stub of the parts of ComfyUI that it uses.

usage: PYTHON tests/serve/comfyui.py PROGRAM
PYTHON has torch, numpy, Pillow and PyAV (pip install av). Exit status 1, with the position, if a check fails.
"""
import importlib.util, sys, tempfile, time, types

from server import ROOT, Server

TOKEN = "a-token-of-some-length"


class Interrupted(BaseException):
    """As ComfyUI's InterruptProcessingException."""


class Comfy:
    """ComfyUI's modules comfy.utils and comfy.model_management. `progress` has what the node reported."""

    def __init__(self):
        self.progress, self.interrupt = [], lambda: False
        self.on_progress = lambda: None
        utils, management = types.ModuleType("comfy.utils"), types.ModuleType("comfy.model_management")
        comfy = self

        class ProgressBar:
            def __init__(self, total):
                self.total = total

            def update_absolute(self, value, total=None, preview=None):
                comfy.on_progress()
                comfy.progress.append((value, total or self.total, preview))

        def throw_exception_if_processing_interrupted():
            if comfy.interrupt():
                raise Interrupted

        utils.ProgressBar = ProgressBar
        management.throw_exception_if_processing_interrupted = throw_exception_if_processing_interrupted
        package = types.ModuleType("comfy")
        package.utils, package.model_management = utils, management
        sys.modules.update({"comfy": package, "comfy.utils": utils, "comfy.model_management": management})


def refusal(node, **inputs):
    try:
        node.render(**inputs)
    except RuntimeError as error:
        return str(error)
    raise AssertionError("the request was accepted")


def inputs_of(node_class, **given):
    """The inputs as ComfyUI passes them: the defaults of INPUT_TYPES, unless given."""
    kinds = node_class.INPUT_TYPES()
    defaults = {name: entry[1]["default"] for kind in ("required", "optional") for name, entry in kinds[kind].items()}
    assert not set(given) - set(defaults), given
    return {**defaults, **given}


def check(server, comfy, node_class):
    import av, torch
    node = node_class()
    ask = {"headers": {"Authorization": "Bearer " + TOKEN}}
    common = {"server": server.url, "token": TOKEN, "size": "64x64", "seed": 3}

    # The first frames arrive before the video is complete.
    states = []

    def note_state():
        if len(states) < 1:
            states.append(server.ask("GET", "/v1/videos", **ask)[1])

    comfy.on_progress = note_state
    inputs = inputs_of(node_class, seconds=8.0, timeline="4: a blue ball", prompt="a red ball", **common)
    frames, fps, video = getattr(node, node_class.FUNCTION)(**inputs)
    assert b'"in_progress"' in states[0], states
    assert frames.shape == (128, 64, 64, 3) and frames.dtype == torch.float32 and fps == 16.0, (frames.shape, fps)
    assert 0 <= frames.min() < frames.max() <= 1
    values = [value for value, _, _ in comfy.progress]
    assert values == list(range(1, 129)) and all(total == 128 for _, total, _ in comfy.progress), values
    previews = [preview for _, _, preview in comfy.progress if preview]
    assert len(previews) == 10 and previews[0][0] == "JPEG" and previews[0][1].size == (64, 64), previews

    # They are those of the finished video.
    status, content = server.ask("GET", f"/v1/videos/{video}/content", **ask)
    assert status == 200
    path = server.folder / "content.mp4"
    path.write_bytes(content)
    with av.open(str(path)) as container:
        finished = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(finished) == 128
    for ours, theirs in zip(frames, finished):
        assert torch.equal((ours * 255).round().to(torch.uint8), torch.from_numpy(theirs))

    # Cancelling in ComfyUI cancels the video.
    comfy.on_progress, comfy.progress = lambda: None, []
    comfy.interrupt = lambda: len(comfy.progress) >= 9
    try:
        node.render(**inputs_of(node_class, prompt="a lake", seconds=60.0, **common))
        raise AssertionError("the node was not interrupted")
    except Interrupted:
        pass
    end = time.monotonic() + 60
    while b'"in_progress"' in (listed := server.ask("GET", "/v1/videos?limit=1", **ask)[1]) and time.monotonic() < end:
        time.sleep(0.2)
    assert b'"cancelled"' in listed, listed
    comfy.interrupt = lambda: False

    assert "wanted SECONDS: prompt" in refusal(node, **inputs_of(node_class, timeline="night falls", **common))
    assert "(400)" in refusal(node, **inputs_of(node_class, **{**common, "size": "7x7"}))
    assert "(401)" in refusal(node, **inputs_of(node_class, **{**common, "token": "a-wrong-token-of-length"}))
    assert "flashblock serve" in refusal(node, **inputs_of(node_class, **{**common, "server": "http://127.0.0.1:9"}))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    comfy = Comfy()
    spec = importlib.util.spec_from_file_location("node", ROOT / "examples/comfyui/flashblock.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(sys.argv[1], folder, "--token", TOKEN)
        try:
            for node_class in module.NODE_CLASS_MAPPINGS.values():
                check(server, comfy, node_class)
        finally:
            status = server.close()
    assert status == 0, status
    print("ComfyUI's node: frames while the video grows, cancellation and refusals work")


if __name__ == "__main__":
    main()
