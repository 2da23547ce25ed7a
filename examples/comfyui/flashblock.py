"""A node for ComfyUI: a prompt goes to a running `flashblock serve`, and the frames come back while they are rendered.

Copy this file into ComfyUI/custom_nodes and start `flashblock serve`. It needs nothing that ComfyUI does not bring
(torch, numpy, Pillow, PyAV). Each frame block that arrives is shown on the node; cancelling in ComfyUI cancels the
video on the server.
"""

import json
import os
import time
import urllib.error
import urllib.request

import av
import comfy.model_management
import comfy.utils
import numpy
import torch
from PIL import Image

POLL_SECONDS = 0.5
PREVIEW_FRAMES = 12  # one preview for as many frames, about a frame block
PREVIEW_SIDE = 512


class Server:
    """The HTTP interface of `flashblock serve`."""

    def __init__(self, address, token):
        self.address = address.rstrip("/")
        self.headers = {"Content-Type": "application/json"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def open(self, method, path, body=None):
        """The response, to be read and closed. Raises: RuntimeError with the server's own words."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, self.headers, method=method)
        try:
            return urllib.request.urlopen(request, timeout=600)
        except urllib.error.HTTPError as refusal:
            try:
                reason = json.loads(refusal.read())["error"]["message"]
            except (ValueError, KeyError, TypeError):
                reason = refusal.reason
            raise RuntimeError(f"flashblock refused the request ({refusal.code}): {reason}") from None
        except urllib.error.URLError as error:
            raise RuntimeError(f"no flashblock server at {self.address}: {error.reason}; start one with: "
                               "flashblock serve") from None

    def ask(self, method, path, body=None):
        with self.open(method, path, body) as response:
            return json.load(response)


def read_timeline(text):
    """The prompt changes in lines "SECONDS: prompt"."""
    changes = []
    for line in filter(None, map(str.strip, text.splitlines())):
        seconds, colon, prompt = line.partition(":")
        try:
            changes.append({"at": float(seconds), "prompt": prompt.strip()})
        except ValueError:
            colon = ""
        if not colon or not prompt.strip():
            raise RuntimeError(f"timeline: found '{line}', wanted SECONDS: prompt, such as 30: night falls")
    return changes


def wait_for_start(server, video):
    """Waits in the server's queue, and until the video can be streamed. Returns its state."""
    while True:
        state = server.ask("GET", f"/v1/videos/{video}")
        if state["status"] not in ("queued", "in_progress") or state["live"]:
            return state
        comfy.model_management.throw_exception_if_processing_interrupted()
        time.sleep(POLL_SECONDS)


def wait_for_end(server, video):
    while (state := server.ask("GET", f"/v1/videos/{video}"))["status"] == "in_progress":
        comfy.model_management.throw_exception_if_processing_interrupted()
        time.sleep(POLL_SECONDS)
    if state["status"] != "completed":
        reason = (state.get("error") or {}).get("message", state["status"])
        raise RuntimeError(f"flashblock did not finish the video: {reason}")
    return state


class Arriving:
    """A response as a file for PyAV that gives what has arrived, instead of waiting for all that was asked for."""

    def __init__(self, response):
        self.response = response

    def read(self, size):
        return self.response.read1(size)


# The demuxer would otherwise read some megabytes before the first frame, which may be the whole video.
AT_ONCE = {"probesize": "4096", "analyzeduration": "1"}


def decoded_frames(response, expected):
    """The frames of an MP4 that may still be growing, as they arrive: a list of [H, W, 3] uint8."""
    progress = comfy.utils.ProgressBar(expected)
    frames = []
    with av.open(Arriving(response), format="mp4", mode="r", options=AT_ONCE) as container:
        container.streams.video[0].thread_count = 1  # frames leave the decoder as early as they can
        for frame in container.decode(video=0):
            comfy.model_management.throw_exception_if_processing_interrupted()
            frames.append(frame.to_ndarray(format="rgb24"))
            preview = None
            if len(frames) % PREVIEW_FRAMES == 0:
                preview = ("JPEG", Image.fromarray(frames[-1]), PREVIEW_SIDE)
            progress.update_absolute(min(len(frames), expected), expected, preview)
    return frames


class FlashblockVideo:
    """Renders a video on a flashblock server."""

    CATEGORY = "flashblock"
    FUNCTION = "render"
    RETURN_TYPES = ("IMAGE", "FLOAT", "STRING")
    RETURN_NAMES = ("frames", "fps", "video_id")

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"prompt": ("STRING", {"multiline": True, "default": "a red balloon drifts over hills"}),
                             "seconds": ("FLOAT", {"default": 5.0, "min": 0.1, "max": 600.0, "step": 0.1}),
                             "seed": ("INT", {"default": 1, "min": 0, "max": 2**63 - 1})},
                "optional": {"timeline": ("STRING", {"multiline": True, "default": "",
                                                     "tooltip": "prompt changes, one a line: 30: night falls"}),
                             "size": ("STRING", {"default": "", "tooltip": "WIDTHxHEIGHT; empty: the model's"}),
                             "server": ("STRING", {"default": "http://127.0.0.1:8080"}),
                             "token": ("STRING", {"default": "", "tooltip": "empty: that of FLASHBLOCK_TOKEN"})}}

    def render(self, prompt, seconds, seed, timeline="", size="", server="http://127.0.0.1:8080", token=""):
        api = Server(server, token or os.environ.get("FLASHBLOCK_TOKEN", ""))
        request = {"prompt": prompt, "seconds": seconds, "seed": seed}
        if size:
            request["size"] = size
        if changes := read_timeline(timeline):
            request["timeline"] = changes
        video = api.ask("POST", "/v1/videos", request)["id"]
        try:
            frames, fps = self.receive(api, video)
        except BaseException:  # also the interruption of ComfyUI
            self.cancel(api, video)
            raise
        images = torch.from_numpy(numpy.stack(frames)).to(torch.float32) / 255.0
        return images, fps, video

    def receive(self, api, video):
        """All frames of a video and their rate. They come from the stream while the video grows."""
        state = wait_for_start(api, video)
        path = f"/v1/videos/{video}/stream.mp4?from=start"
        if not state["live"]:  # another video may be streamed by now
            path = f"/v1/videos/{video}/content"
        with api.open("GET", path) as response:
            frames = decoded_frames(response, state["frames"])
        wait_for_end(api, video)
        if not frames:
            raise RuntimeError("flashblock sent no frames")
        return frames, float(state["fps"])

    @staticmethod
    def cancel(api, video):
        try:
            api.ask("POST", f"/v1/videos/{video}/cancel", {})
        except RuntimeError:
            pass  # it is finished, or the server is gone


NODE_CLASS_MAPPINGS = {"FlashblockVideo": FlashblockVideo}
NODE_DISPLAY_NAME_MAPPINGS = {"FlashblockVideo": "Flashblock: prompt to video"}
