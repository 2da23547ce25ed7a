#!/usr/bin/env python3
"""Checks a server against its OpenAPI description with schemathesis.

usage: PYTHON tests/serve/schema.py PROGRAM [ARGUMENTS OF schemathesis run...]
PYTHON has schemathesis 4 (pip install schemathesis). Not checked: / (a page) and /v1/events (which does not end). The
exit status is that of schemathesis, or 1 if the server crashed.
"""
import os, subprocess, sys, tempfile

from server import SMALL_VIDEOS, Server

# Statuses for requests that do not match the description: the default ones and those for sizes.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 414, 415, 416, 429, 431]

# Valid sizes and lengths depend on the model and the server's options, and a prompt change must be before the end of
# the video. A description cannot express that, so a request that matches it can be rejected.
[[operations]]
include-name = "POST /v1/videos"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409, 413, 429]

[[operations]]
include-name = "POST /v1/timelines"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409, 413, 429]
"""


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program, more = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        server = Server(program, folder, "--max-queue", "10000", *SMALL_VIDEOS)
        for _ in range(3):
            server.wait_for(server.order(prompt="a red balloon"))
        with open(os.path.join(folder, "schemathesis.toml"), "w") as configuration:
            configuration.write(CONFIGURATION)
        run = subprocess.run([os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run",
                              server.url + "/openapi.json", "--url",
                              server.url, "--exclude-path", "/", "--exclude-path", "/v1/events", "--checks", "all",
                              "--request-timeout", "20", *more], cwd=folder)
        alive = server.process.poll() is None and server.close() == 0
        if not alive:
            print("the server crashed:", server.log.read_text(), file=sys.stderr)
    sys.exit(run.returncode or (0 if alive else 1))


if __name__ == "__main__":
    main()
