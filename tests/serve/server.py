"""Starts `flashblock serve` on a free port for the scripts in this folder, sends requests and stops it."""
import http.client, json, pathlib, re, signal, subprocess, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 180  # seconds; a timeout for what hangs, not a fixed wait
SMALL_VIDEOS = ("--set", "seconds=0.5", "--set", "size=64x64")  # where the content does not matter


class Server:
    """The demo model on the CPU, with videos in `folder`."""

    def __init__(self, program, folder, *options, port=0):
        self.folder = pathlib.Path(folder)
        self.log = self.folder / "log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([program, "serve", f"127.0.0.1:{port}", "--data",
                                             str(self.folder / "videos"), "--model",
                                             str(ROOT / "assets/demo"), "--device", "cpu", *options],
                                            stdout=log, stderr=subprocess.STDOUT)
        self.port = self._printed_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def _printed_port(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", self.log.read_text()):
                return int(found.group(1))
            time.sleep(0.05)
        raise RuntimeError("the server did not start: " + self.log.read_text())

    def ask(self, method, path, body=None, headers={}):
        """Status and body of a response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def get(self, path):
        status, body = self.ask("GET", path)
        if status != 200:
            raise RuntimeError(f"GET {path}: {status} {body[:300]}")
        return body

    def order(self, **video):
        """Creates a video. Returns its id."""
        status, body = self.ask("POST", "/v1/videos", video)
        if status != 200:
            raise RuntimeError(f"POST /v1/videos: {status} {body[:300]}")
        return json.loads(body)["id"]

    def events(self, video):
        """The states of a video, as the server sends them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/v1/events")
        for line in connection.getresponse():
            if line.startswith(b"data: ") and (state := json.loads(line[6:])).get("id") == video and "status" in state:
                yield state

    def wait_for(self, video, fits=lambda state: False):
        """The first state of a video for which `fits` is true, or its final state."""
        for state in self.events(video):
            if fits(state) or state["status"] in ("completed", "failed", "cancelled"):
                return state

    def close(self):
        """Stops the server. Returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)
