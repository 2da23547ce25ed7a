#!/usr/bin/env python3
"""Sends malformed requests to a server that renders and streams, and checks that it keeps working.

usage: tests/serve/fuzz.py PROGRAM [--seconds 60] [--seed 1]

Requests that are changed byte by byte and line by line, truncated, concatenated; huge headers and bodies, deep JSON,
other protocols; clients that send slowly, stop reading or disconnect during a response; floods of connections. Exit
status 1 if a response has status 500, the server stops answering, a video fails, or the server does not end with 0
afterwards (a sanitizer's report ends it with another status).
"""
import argparse, collections, json, random, socket, struct, sys, tempfile, threading, time

from server import SMALL_VIDEOS, Server

WORKERS = 4
LINES = [b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 18446744073709551616",
         b"Transfer-Encoding: chunked",
         b"Expect: 100-continue", b"Connection: close", b"Host: a", b"X: " + b"a" * 5000, b"Cookie: " + b";" * 3000,
         b"If-None-Match: W/\"a\", *", b"If-Modified-Since: Sun Nov  6 08:49:37 1994", b"Range: items=0-1,2-",
         b"Range: bytes=" + b"9" * 60 + b"-", b"Range: bytes=-5", b"Range: bytes=0-0", b"Range: bytes=5-2",
         b"Upgrade: h2c",
         b"Content-Type: multipart/form-data; boundary=", b"Origin: null", b"Accept-Encoding: gzip", b"If-Range: x",
         b"Authorization: Bearer " + b"\xff" * 100]
OTHERS = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
          b"SSH-2.0-x\r\n",
          b"\r\n" * 9000, b"\0" * 20000, b"GET /" + b"a" * 70000, b"A: b\r\n" * 20000]


def request(method, target, body=b"", kind=b"application/json"):
    head = method + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\n"
    if method == b"POST":
        head += b"Content-Type: " + kind + b"\r\nContent-Length: %d\r\n" % len(body)
    return head + b"\r\n" + body


def corpus(video):
    """Well-formed requests, most of them valid."""
    path = b"/v1/videos/" + video.encode()
    order = b'{"prompt":"a","seconds":0.3,"size":"64x64","seed":"7","timeline":[{"at":0.2,"prompt":"b"}]}'
    form = (b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na hill\r\n--x\r\nContent-Disposition: '
            b'form-data; '
            b'name="size"\r\n\r\n1x1\r\n--x--\r\n')
    get = [b"/", b"/v1/models", b"/v1/videos?limit=2&order=asc&after=" + video.encode(), path, path + b"/content",
           b"/healthz", b"/metrics",
           path + b"/content?variant=thumbnail&download=1", path + b"/stream.mp4", b"/stream.mp4?from=start",
           b"/hls/live.m3u8",
           b"/hls/" + video.encode() + b"/init.mp4", b"/hls/" + video.encode() + b"/000000.m4s", b"/v1/events",
           b"/openapi.json"]
    requests = [request(b"GET", target) for target in get] + [request(b"HEAD", target) for target in get[:6]]
    requests += [request(b"POST", b"/v1/videos", order),
                 request(b"POST", b"/v1/videos", form, b"multipart/form-data; boundary=x"),
                 request(b"POST", path + b"/prompt", b'{"prompt":"night falls \xc3\xa9"}'),
                 request(b"POST", b"/v1/videos", b"[" * 60000), request(b"POST", b"/v1/videos", b'{"a":' * 12000),
                 request(b"POST", b"/v1/videos", b'{"prompt":"' + b"\\u0001\\ud800" * 300 + b'"}'),
                 request(b"POST", b"/v1/videos", b'{"prompt":"\xff\xfe","seconds":1e308,"seed":-1}'),
                 request(b"POST", path + b"/cancel"), request(b"DELETE", b"/v1/videos/video_000000000000000000000000"),
                 request(b"BREW", b"/v1/videos"), request(b"OPTIONS", b"/v1/videos"),
                 request(b"GET", b"/v1/models/demo"), request(b"GET", b"http://localhost" + path),
                 b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n4;a=b\r\n{\"pr\r\ne\r\nompt\":\"a hill\"\r\n1\r\n}\r\n0\r\n"
                 b"X: y\r\n\r\n"]
    return requests


def mutated(source, requests):
    kind = source.random()
    if kind < 0.03:
        return source.choice(OTHERS)
    if kind < 0.1:
        return b"".join(source.choice(requests) for _ in range(source.randint(2, 8)))  # pipelined
    data = bytearray(source.choice(requests))
    for _ in range(source.choice([0, 1, 1, 2, 4, 8])):
        place = source.randrange(len(data) + 1)
        change = source.randrange(6)
        if change == 0:
            data[place:place + 1] = bytes([source.randrange(256)])
        elif change == 1:
            del data[place:place + source.randint(1, 20)]
        elif change == 2:
            data[place:place] = source.randbytes(source.randint(1, 40))
        elif change == 3 and (at := data.find(b"\r\n", source.randrange(len(data) + 1))) >= 0:
            data[at:at] = b"\r\n" + source.choice(LINES)
        elif change == 4:
            data = data[:place] or bytearray(b"\r")
        else:
            data[place:place] = bytes(data[:source.randint(1, 60)])
    return bytes(data)


class Worker(threading.Thread):
    def __init__(self, port, seed, requests, end):
        super().__init__()
        self.port, self.source, self.requests, self.end = port, random.Random(seed), requests, end
        self.statuses, self.fault = collections.Counter(), None

    def run(self):
        while time.monotonic() < self.end and not self.fault:
            data = mutated(self.source, self.requests)
            answer = self.exchange(data)
            status = answer[9:12].decode("latin1") if answer.startswith(b"HTTP/1.") else "none"
            self.statuses[status] += 1
            if status == "500" or b"internal_error" in answer:
                self.fault = (data[:2000], answer[:2000])

    def exchange(self, data):
        connection = socket.socket()
        try:
            connection.settimeout(2)
            manner = self.source.random()
            if manner < 0.05:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect(("127.0.0.1", self.port))
            if manner > 0.97:  # byte by byte
                for i in range(min(len(data), 60)):
                    connection.send(data[i:i + 1])
            else:
                connection.sendall(data)
            if manner < 0.15:  # closes with a reset, whatever the server is doing
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return b"gone"
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(self.source.choice([1, 100, 65536]))
        except OSError:
            return b""
        finally:
            connection.close()


def flood(port):
    """Opens more connections than the limit; each sends a little and waits."""
    connections = []
    for _ in range(300):
        try:
            connections.append(socket.create_connection(("127.0.0.1", port), timeout=2))
            connections[-1].send(b"GET /v1/ev")
        except OSError:
            pass
    for connection in connections:
        connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.program, folder, *SMALL_VIDEOS)
        video = server.order(prompt="a red balloon")
        server.wait_for(video)
        end = time.monotonic() + options.seconds
        workers = [Worker(server.port, options.seed * 1000 + i, corpus(video), end) for i in range(WORKERS)]
        for worker in workers:
            worker.start()
        while time.monotonic() < end and server.process.poll() is None and not any(worker.fault for worker in workers):
            time.sleep(min(5, max(0, end - time.monotonic())))
            flood(server.port)
        for worker in workers:
            worker.join()
            if worker.fault:
                faults.append(f"status 500 for {worker.fault}")
        time.sleep(1)
        if server.process.poll() is None:
            page = json.loads(server.get("/v1/videos?limit=100"))
            faults += [f"a video failed: {video}" for video in page["data"] if video["status"] == "failed"]
        status = server.close() if server.process.poll() is None else server.process.returncode
        if status != 0:
            faults.append(f"the server ended with {status}: {server.log.read_text()[-5000:]}")
    statuses = sum((worker.statuses for worker in workers), collections.Counter())
    print(f"{statuses.total()} requests, responses by status: {dict(sorted(statuses.items()))}")
    print("\n".join(faults) or "the server works")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
