#!/usr/bin/env python3
"""What 50 viewers cost the render of a video: 20 that keep up, 10 that read 10 kB/s, 10 that read nothing, 10 that are
killed.

usage: tests/serve/load.py PROGRAM [--seconds 20] [--size 256x144] [--rounds 5]

Renders the same video with and without viewers, taking turns, each round in the other order. Exit status 1 unless
  * the median over the rounds of (time with viewers) / (time without) is at most 1.05,
  * all videos have the same coded frames, bit for bit (their metadata contain their file names),
  * every viewer that keeps up receives every segment, byte for byte as in HLS,
  * the server's memory is flat: with viewers it is at most FLAT MiB larger than without, and does not grow from round
    to round,
  * no viewer is left at the end.
The viewers are sockets of two processes, so that they cost little themselves; their cost is reported, because on a
small machine they take it from the render.
"""
import argparse, os, re, selectors, signal, socket, statistics, subprocess, sys, tempfile, time

from server import Server

KEEP_UP, SLOW, STOPPED, KILLED = 20, 10, 10, 10
SLOW_BYTES, SLOW_SECONDS = 2500, 0.25  # 10 kB/s
FEW_BYTES = 4096  # receive buffer of a viewer that does not read
LONGEST, FLAT = 1.05, 16
BIG_SEGMENTS = ("--set", "encoder.crf=1")  # so that 10 kB/s are too slow, and no buffer can hold the video
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def packets(video):
    """The coded frames of a video: times, sizes and checksums."""
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", video, "-map", "0:v", "-c", "copy", "-f",
                           "framemd5", "-"],
                          check=True, capture_output=True).stdout


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024


def metric(server, name):
    return int(re.search("^flashblock_" + re.escape(name) + r" (\d+)", server.get("/metrics").decode(),
                         re.MULTILINE).group(1))


def viewers(server):
    return metric(server, 'viewers{kind="stream"}')


def connect(port, target, receive_bytes=None):
    viewer = socket.socket()
    if receive_bytes:
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    viewer.connect(("127.0.0.1", port))
    viewer.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    viewer.setblocking(False)
    return viewer


def watch(port, out):
    """The viewers that keep up, are slow or have stopped, until the video ends; writes what the first received."""
    chooser = selectors.DefaultSelector()
    got = [bytearray() for _ in range(KEEP_UP)]
    for data in got:
        chooser.register(connect(port, "/stream.mp4?from=start"), selectors.EVENT_READ, data)
    slow = [connect(port, "/stream.mp4", FEW_BYTES) for _ in range(SLOW)]
    stopped = [connect(port, "/stream.mp4", FEW_BYTES) for _ in range(STOPPED)]
    due = time.monotonic()
    while chooser.get_map():
        for key, _ in chooser.select(max(0, due - time.monotonic())):
            data = key.fileobj.recv(1 << 20)
            key.data.extend(data)
            if key.data.endswith(b"0\r\n\r\n") or not data:
                chooser.unregister(key.fileobj)
        if time.monotonic() >= due:
            due += SLOW_SECONDS
            for viewer in slow:
                try:
                    viewer.recv(SLOW_BYTES)
                except OSError:
                    pass
    del stopped
    for data in got:
        out.write(len(data).to_bytes(8, "little") + data)


def watch_until_killed(port, _):
    chooser = selectors.DefaultSelector()
    for _ in range(KILLED):
        chooser.register(connect(port, "/stream.mp4?from=start"), selectors.EVENT_READ)
    while True:
        for key, _ in chooser.select():
            key.fileobj.recv(1000)  # little, so that some is under way when it is killed
        time.sleep(0.02)


class Crowd:
    """Viewers in a process of their own."""

    def __init__(self, body, port):
        self.out = tempfile.TemporaryFile()
        self.pid = os.fork()
        if self.pid == 0:
            body(port, self.out)
            self.out.flush()
            os._exit(0)

    def kill(self):
        cpu = cpu_seconds(self.pid)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return cpu

    def results(self):
        os.waitpid(self.pid, 0)
        self.out.seek(0)
        got = []
        while size := self.out.read(8):
            got.append(self.out.read(int.from_bytes(size, "little")))
        return got


def unchunked(answer):
    at, body = answer.index(b"\r\n\r\n") + 4, bytearray()
    while True:
        end = answer.index(b"\r\n", at)
        size = int(answer[at:end], 16)
        if size == 0:
            return bytes(body)
        body += answer[end + 2:end + 2 + size]
        at = end + 2 + size + 2


def render(server, order, watched):
    video, pid = server.order(**order), server.process.pid
    begun, crowd, doomed, most_memory, clients = None, None, None, 0, 0.0
    for state in server.events(video):
        if state["live"] and begun is None:
            begun, cpu = time.monotonic(), cpu_seconds(pid)
            if watched:
                crowd, doomed = Crowd(watch, server.port), Crowd(watch_until_killed, server.port)
        if doomed and 2 * state["block"] > state["blocks"]:
            clients += doomed.kill()
            doomed = None
        most_memory = max(most_memory, memory(pid))
        if state["status"] not in ("queued", "in_progress"):
            break
    taken = time.monotonic() - begun
    cpu = cpu_seconds(pid) - cpu
    run = {"seconds": taken, "server_cpu": cpu, "memory": most_memory, "status": state["status"],
           "blocks": state["blocks"]}
    run["video"] = packets(server.folder / "videos" / video / "content.mp4")
    if watched:
        run["client_cpu"] = clients + cpu_seconds(crowd.pid)
        segments = [server.get(f"/hls/{video}/{i:06}.m4s") for i in range(state["blocks"])]
        whole = server.get(f"/hls/{video}/init.mp4") + b"".join(segments)
        run["whole"] = [unchunked(got) == whole for got in crowd.results()].count(True)
        run["bytes"] = len(whole)
        end = time.monotonic() + 60
        while viewers(server) and time.monotonic() < end:
            time.sleep(0.1)
        run["left"] = viewers(server)
        run["skipped"] = metric(server, "stream_segments_skipped_total")
    server.ask("DELETE", f"/v1/videos/{video}")
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--size", default="256x144")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    order = {"prompt": "a red balloon over snowy hills", "seconds": options.seconds, "size": options.size, "seed": 7}
    alone, watched = [], []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.program, folder, *BIG_SEGMENTS)
        try:
            render(server, order | {"seconds": 3}, watched=True)  # loads the model, and all code once
            for i in range(options.rounds):
                for watching in ((False, True) if i % 2 == 0 else (True, False)):
                    run = render(server, order, watching)
                    (watched if watching else alone).append(run)
                    print("watched" if watching else "alone  ",
                          {k: round(v, 2) if isinstance(v, float) else v for k, v in run.items()
                                                                 if k != "video"}, flush=True)
        finally:
            server.close()
    ratios = [w["seconds"] / a["seconds"] for a, w in zip(alone, watched)]
    ratio = statistics.median(ratios)
    cores = os.cpu_count()
    clients = statistics.median(w["client_cpu"] / (cores * w["seconds"]) for w in watched)
    serving = statistics.median(w["server_cpu"] - a["server_cpu"] for a, w in zip(alone, watched))
    print(f"time with viewers / without: {ratio:.3f} (rounds: {', '.join(f'{r:.3f}' for r in ratios)}); the viewers "
          f"themselves took "
          f"{100 * clients:.1f} % of the {cores} cores, the server {serving:.2f} s of processor time more")
    most_alone, most_watched = max(a["memory"] for a in alone), max(w["memory"] for w in watched)
    growth = watched[-1]["memory"] - watched[0]["memory"]
    print(f"memory: {most_alone:.0f} MiB without viewers, {most_watched:.0f} MiB with; {growth:+.0f} MiB from the "
          f"first round to the last")
    points = {f"time within {LONGEST}": ratio <= LONGEST,
              "all videos complete and the same frames": len({r["video"] for r in alone + watched}) == 1
              and all(r["status"] == "completed" for r in alone + watched),
              "every viewer that keeps up got every segment": all(w["whole"] == KEEP_UP for w in watched),
              "memory is flat": most_watched - most_alone <= FLAT and growth <= FLAT,
              "no viewer is left": all(w["left"] == 0 for w in watched)}
    for name, good in points.items():
        print("ok    " if good else "FAILED", name)
    sys.exit(0 if all(points.values()) else 1)


if __name__ == "__main__":
    main()
