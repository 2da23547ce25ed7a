#!/usr/bin/env python3
"""OpenAI's client against a server: creates, polls, lists, downloads and deletes videos; and Prometheus' parser on the
metrics.

usage: PYTHON tests/serve/client.py PROGRAM
PYTHON has both (pip install openai prometheus_client). Exit status 1, with the position, if a check fails.
"""
import sys, tempfile, warnings

import openai
from prometheus_client.parser import text_string_to_metric_families

from server import SMALL_VIDEOS, Server

TOKEN = "a-token-of-some-length"


def check(server):
    client = openai.OpenAI(base_url=server.url + "/v1", api_key=TOKEN, max_retries=0)
    video = client.videos.create(prompt="a red balloon", seconds="1", size="64x64")
    assert (video.object, video.status, video.seconds, video.size) == ("video", "queued", "1", "64x64"), video
    done = client.videos.poll(video.id, poll_interval_ms=100)
    assert done.status == "completed" and done.progress == 100 and done.error is None, done
    assert done.completed_at >= done.created_at, done
    assert done.prompt == "a red balloon" and done.remixed_from_video_id is None and done.expires_at is None, done
    assert client.videos.download_content(video.id).read()[4:8] == b"ftyp"
    assert client.videos.download_content(video.id, variant="thumbnail").read()[:2] == b"\xff\xd8"
    assert client.videos.download_content(video.id, variant="spritesheet").read()[:4] == b"\x89PNG"

    others = [client.videos.create(prompt="a lake").id for _ in range(4)]
    listed = [v.id for v in client.videos.list(limit=2, order="asc")]  # several pages
    assert listed == [video.id, *others], listed
    assert [v.id for v in client.videos.list(limit=2)] == listed[::-1]
    assert [model.id for model in client.models.list()] == ["demo"]
    assert client.models.retrieve("demo").id == "demo"

    for call, error, param in ((lambda: client.videos.create(prompt=""), openai.BadRequestError, "prompt"),
                               (lambda: client.videos.create(prompt="a", seconds="x"), openai.BadRequestError,
                                "seconds"),
                               (lambda: client.videos.retrieve("video_0"), openai.NotFoundError, None),
                               (lambda: client.models.retrieve("sora-2.1"), openai.NotFoundError, "model"),
                               (lambda: client.with_options(api_key="wrong").videos.list(), openai.AuthenticationError,
                                None)):
        try:
            call()
            raise AssertionError("the request was accepted")
        except error as refusal:
            assert refusal.type == "invalid_request_error" and refusal.code and refusal.param == param, refusal
    for video_id in listed:
        gone = client.videos.delete(video_id)
        assert (gone.id, gone.object, gone.deleted) == (video_id, "video.deleted", True), gone
    assert client.videos.list().data == []

    status, text = server.ask("GET", "/metrics", headers={"Authorization": "Bearer " + TOKEN})
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert status == 200 and len(families) > 10 and families["flashblock_http_requests"].samples[0].value > 10, families
    assert server.ask("GET", "/metrics")[0] == 401 and server.ask("GET", "/healthz")[0] == 200


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # OpenAI has shut down its own service
    with tempfile.TemporaryDirectory() as folder:
        server = Server(sys.argv[1], folder, "--token", TOKEN, *SMALL_VIDEOS)
        try:
            check(server)
        finally:
            status = server.close()
    assert status == 0, status
    print(f"openai {openai.__version__}: videos and errors are compatible; metrics can be parsed")


if __name__ == "__main__":
    main()
