#!/usr/bin/env python3
"""50 viewers of one film: 10 read at 10 kB/s, 10 are stopped, 10 are killed, 20 are healthy.

usage: tests/serve/load.py PROGRAM [--seconds 10] [--rounds 3]
Renders the same film with and without viewers, taking turns, and reports: the times, whether the films are the same
bytes, the server's memory, and whether all healthy viewers got every piece. Exit status 1 if one of them is wrong.
"""
import argparse, hashlib, http.client, json, os, re, subprocess, sys, tempfile, threading, time


class Server:
    def __init__(self, program, folder):
        self.process = subprocess.Popen([program, "serve", "127.0.0.1:0", "--data", folder], stdout=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+)/", self.process.stdout.readline()).group(1))

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        return connection.getresponse().read()

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Viewer(threading.Thread):
    def __init__(self, port, kind):
        super().__init__(daemon=True)
        self.port, self.kind, self.data, self.whole = port, kind, b"", False
        self.response = None
        self.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", "/stream.mp4?from=start" if self.kind == "healthy" else "/stream.mp4")
        self.response = response = connection.getresponse()
        try:
            if self.kind == "healthy":
                self.data = response.read()
                self.whole = True
            elif self.kind == "slow":
                while response.read(1000):
                    time.sleep(0.1)
            elif self.kind == "killed":
                response.read(2000)
                connection.sock.close() if connection.sock else response.close()
            else:
                time.sleep(3600)
        except (OSError, http.client.HTTPException):
            pass


def render(server, seconds, viewers):
    video = json.loads(server.ask("POST", "/v1/videos", {"prompt": "a red balloon over snowy hills", "seconds": seconds, "seed": 7}))["id"]
    watching, memory, begun = [], [], None
    while True:
        state = json.loads(server.ask("GET", f"/v1/videos/{video}"))
        if state["live"] and begun is None:
            begun = (time.monotonic(), state["block"])
            if viewers:
                kinds = ["healthy"] * 20 + ["slow"] * 10 + ["stopped"] * 10 + ["killed"] * 10
                watching = [Viewer(server.port, kind) for kind in kinds]
        if state["status"] not in ("queued", "in_progress"):
            break
        memory.append(server.memory())
        time.sleep(0.1)
    taken = time.monotonic() - begun[0]
    film = server.ask("GET", f"/v1/videos/{video}/content")
    for viewer in watching:
        if viewer.kind == "healthy":
            viewer.join(60)
    server.ask("DELETE", f"/v1/videos/{video}")
    healthy = [viewer for viewer in watching if viewer.kind == "healthy"]
    pieces = {viewer.data.count(b"moof") for viewer in healthy if viewer.whole}
    whole = all(viewer.whole for viewer in healthy)
    return {"seconds": round(taken, 2), "sha256": hashlib.sha256(film).hexdigest(), "memory": (round(memory[0]), round(max(memory))),
            "pieces": pieces, "whole": whole, "blocks": state["blocks"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    alone, watched = [], []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.program, folder)
        try:
            render(server, 1, viewers=False)  # loads the model
            for _ in range(options.rounds):
                alone.append(render(server, options.seconds, viewers=False))
                watched.append(render(server, options.seconds, viewers=True))
                print("alone", alone[-1], "\nwatched", watched[-1], flush=True)
        finally:
            server.stop()
    middle = lambda runs: sorted(run["seconds"] for run in runs)[len(runs) // 2]
    ratio = middle(watched) / middle(alone)
    same = len({run["sha256"] for run in alone + watched}) == 1
    complete = all(run["whole"] and run["pieces"] == {run["blocks"]} for run in watched)
    print(f"time with viewers / without: {ratio:.3f}; same film: {same}; every healthy viewer got every piece: {complete}")
    sys.exit(0 if same and complete else 1)


if __name__ == "__main__":
    main()
