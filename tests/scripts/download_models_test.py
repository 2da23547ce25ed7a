"""scripts/download-models against a local server that speaks the hub's protocol.

Needs the client: $FLASHBLOCK_DOWNLOAD_PYTHON, or the environment that scripts/download-models makes. Without it the
test says so and is skipped (exit status 77), or fails if FLASHBLOCK_REQUIRE_HUB_CLIENT is set.
"""

import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("FLASHBLOCK_DOWNLOAD_PYTHON") or str(ROOT / "build/download-venv/bin/python")
COMMIT = "a" * 40
BASE = ["models_t5_umt5-xxl-enc-bf16.pth", "google/umt5-xxl/spiece.model", "Wan2.1_VAE.pth"]


class Hub(http.server.ThreadingHTTPServer):
    """Repositories in memory. `hold` stops a file's transfer after so many bytes until `released`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}  # (repository, name): bytes
        self.etags = {}  # those that are not the content's own
        self.hold = {}
        self.held, self.released = threading.Event(), threading.Event()
        self.starts = []  # (name, first byte) of every transfer
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def find(self):
        parts = self.path.split("?")[0].lstrip("/").split("/")
        key = ("/".join(parts[:2]), "/".join(parts[4:]).replace("%2B", "+"))
        return (key, self.server.files.get(key)) if len(parts) > 4 and parts[2] == "resolve" else (key, None)

    def answer(self, status, content, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()

    def file_headers(self, key, content):
        etag = self.server.etags.get(key, hashlib.sha256(content).hexdigest())
        return [("ETag", f'"{etag}"'), ("X-Linked-Etag", f'"{etag}"'), ("X-Linked-Size", str(len(content))),
                ("X-Repo-Commit", COMMIT), ("Accept-Ranges", "bytes")]

    def missing(self):
        self.answer(404, b"", [("X-Error-Code", "EntryNotFound"), ("X-Error-Message", "Entry not found")])

    def do_HEAD(self):
        key, content = self.find()
        if content is None:
            return self.missing()
        self.answer(200, content, self.file_headers(key, content))

    def do_GET(self):
        if self.path.startswith("/api/models/"):
            return self.list_files()
        key, content = self.find()
        if content is None:
            return self.missing()
        first = int(self.headers.get("Range", "bytes=0-")[len("bytes="):].split("-")[0])
        self.server.starts.append((key[1], first))
        headers = self.file_headers(key, content)
        if first:
            headers.append(("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}"))
        self.answer(206 if first else 200, content[first:], headers)
        limit = self.server.hold.pop(key[1], None)
        if limit is None:
            self.wfile.write(content[first:])
            return
        self.wfile.write(content[first:limit])
        self.wfile.flush()
        self.server.held.set()
        self.server.released.wait()
        self.close_connection = True

    def list_files(self):
        repository = "/".join(self.path.split("/")[3:5])
        files = [{"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                 for (owner, name), content in self.server.files.items() if owner == repository]
        body = json.dumps(files).encode()
        self.answer(200, body, [("Content-Type", "application/json")])
        self.wfile.write(body)


class DownloadModels(unittest.TestCase):
    def setUp(self):
        self.hub = Hub()
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name) / "models"
        for name in BASE:
            self.publish("Wan-AI/Wan2.1-T2V-1.3B", name)

    def tearDown(self):
        self.hub.released.set()
        self.hub.shutdown()
        self.hub.server_close()
        self.temporary.cleanup()

    def publish(self, repository, name, size=200_000):
        content = hashlib.shake_128(name.encode()).digest(size)
        self.hub.files[repository, name] = content
        return content

    def command(self, *words):
        environment = dict(os.environ, HF_ENDPOINT=self.hub.address, HF_HOME=self.temporary.name + "/hf",
                           FLASHBLOCK_DOWNLOAD_PYTHON=PYTHON, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
        for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            environment.pop(proxy, None)
        return dict(args=[str(ROOT / "scripts/download-models"), *words], env=environment, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True)

    def run_program(self, *words):
        return subprocess.run(**self.command(*words))

    def fetch(self, name="self-forcing-dmd"):
        return self.run_program(name, str(self.folder))

    def test_fetches_every_file_and_writes_the_model_file(self):
        weights = self.publish("gdhe17/Self-Forcing", "checkpoints/self_forcing_dmd.pt")
        run = self.fetch()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual((self.folder / "self-forcing-dmd/checkpoints/self_forcing_dmd.pt").read_bytes(), weights)
        for name in BASE:
            self.assertTrue((self.folder / "Wan2.1-T2V-1.3B" / name).is_file(), name)
        preset = (ROOT / "configs/models/self-forcing-dmd.yaml").read_text()
        self.assertEqual((self.folder / "self-forcing-dmd/model.yaml").read_text(), preset)
        self.assertIn("complete", run.stdout)
        # Again: nothing is transferred, changes of the model file stay.
        self.hub.starts.clear()
        (self.folder / "self-forcing-dmd/model.yaml").write_text("mine")
        run = self.fetch()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.hub.starts, [])
        self.assertEqual((self.folder / "self-forcing-dmd/model.yaml").read_text(), "mine")

    def test_goes_on_where_it_was_interrupted(self):
        name = "checkpoints/self_forcing_dmd.pt"
        weights = self.publish("gdhe17/Self-Forcing", name, 30_000_000)
        self.hub.hold[name] = 25_000_000
        process = subprocess.Popen(**self.command("self-forcing-dmd", str(self.folder)))
        self.assertTrue(self.hub.held.wait(timeout=120))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("run the same command again", errors)
        self.assertFalse((self.folder / "self-forcing-dmd" / name).exists())
        self.assertFalse((self.folder / "self-forcing-dmd/model.yaml").exists())
        self.hub.starts.clear()
        run = self.fetch()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertGreater(dict(self.hub.starts)[name], 0, "it began anew")
        self.assertEqual((self.folder / "self-forcing-dmd" / name).read_bytes(), weights)

    def test_a_damaged_file_is_found_and_removed(self):
        name = "checkpoints/self_forcing_dmd.pt"
        self.publish("gdhe17/Self-Forcing", name)
        self.hub.etags["gdhe17/Self-Forcing", name] = "0" * 64
        run = self.fetch()
        self.assertEqual(run.returncode, 5, run.stderr)
        self.assertIn("SHA-256", run.stderr)
        self.assertFalse((self.folder / "self-forcing-dmd" / name).exists())
        self.assertFalse((self.folder / "self-forcing-dmd/model.yaml").exists())

    def test_folders_are_fetched_by_pattern(self):
        repository = "wlsaidhi/SFWan2.1-T2V-1.3B-Diffusers"
        for name in ("transformer/config.json", "transformer/model.safetensors", "text_encoder/model.safetensors",
                     "tokenizer/spiece.model", "vae/model.safetensors", "README.md"):
            self.publish(repository, name, 1000)
        run = self.fetch("fastvideo-self-forcing-1.3b")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertTrue((self.folder / "fastvideo-self-forcing-1.3b/tokenizer/spiece.model").is_file())
        self.assertFalse((self.folder / "fastvideo-self-forcing-1.3b/README.md").exists())

    def test_says_what_is_wrong_in_one_line(self):
        for words, status, part in ((["no-such-model"], 2, "there are: causal-forcing"),
                                    (["../self-forcing-dmd"], 2, "there is no model"),
                                    (["rolling-forcing"], 2, "cannot be rendered"),
                                    (["self-forcing-sid"], 5, "self_forcing_sid.pt")):
            run = self.run_program(*words, str(self.folder))
            self.assertEqual(run.returncode, status, run.stderr)
            self.assertIn("flashblock: error: ", run.stderr)
            self.assertIn(part, run.stderr)
            self.assertNotIn("Traceback", run.stderr)

    def test_lists_the_models(self):
        run = self.run_program("--list")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("longlive-1.3b\n", run.stdout)
        self.assertIn("rolling-forcing (cannot be rendered)", run.stdout)


if __name__ == "__main__":
    have = subprocess.run([PYTHON, "-c", "import huggingface_hub, yaml"],
                          capture_output=True) if Path(PYTHON).exists() else None
    if have is None or have.returncode != 0:
        required = "FLASHBLOCK_REQUIRE_HUB_CLIENT" in os.environ
        print(f"{'failed' if required else 'skipped'}: there is no client huggingface_hub for {PYTHON}; "
              "scripts/download-models --list installs it")
        sys.exit(1 if required else 77)
    unittest.main()
