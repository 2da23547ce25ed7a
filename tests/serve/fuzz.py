#!/usr/bin/env python3
"""Sends malformed requests to a running server and checks that it lives.

usage: tests/serve/fuzz.py PORT [--seconds 60] [--seed 1]
Mutates whole requests byte by byte and line by line, cuts them off, sends huge headers, floods of connections and
clients that trickle. Exit status 1 if the server stops answering /healthz or answers anything with status 500.
"""
import argparse, http.client, random, socket, sys, time

GET = b"GET /v1/videos HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
BODY = b'{"prompt":"a","seconds":1,"timeline":[{"at":0.5,"prompt":"b"}]}'
POST = b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
FORM = (b"--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na hill\r\n--x\r\nContent-Disposition: form-data; name=\"size\"\r\n\r\n1x1\r\n--x--\r\n")
MULTIPART = b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n" % len(FORM) + FORM
RANGE = b"GET /v1/videos/video_000000000000000000000000/content?variant=video HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-9\r\n\r\n"
LINES = [b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close", b"Host: a",
         b"X: " + b"a" * 5000, b"Cookie: " + b";" * 3000, b"Range: bytes=" + b"9" * 60 + b"-", b"Content-Type: multipart/form-data; boundary=", b"Upgrade: h2c"]


def mutated(random_source):
    request = bytearray(random_source.choice([GET, POST, MULTIPART, RANGE]))
    for _ in range(random_source.randint(1, 6)):
        place = random_source.randrange(len(request) + 1)
        kind = random_source.randrange(6)
        if kind == 0:
            request[place:place + 1] = bytes([random_source.randrange(256)])
        elif kind == 1:
            del request[place:place + random_source.randint(1, 20)]
        elif kind == 2:
            request[place:place] = random_source.randbytes(random_source.randint(1, 40))
        elif kind == 3:
            ends = [i for i in range(len(request)) if request[i:i + 2] == b"\r\n"]
            if ends:
                at = random_source.choice(ends)
                request[at:at] = b"\r\n" + random_source.choice(LINES)
        elif kind == 4:
            request = request[:place] or bytearray(b"\r")
        else:
            request[place:place] = bytes(request[:random_source.randint(1, 60)])
    return bytes(request)


def send(port, request):
    connection = socket.create_connection(("127.0.0.1", port), timeout=2)
    try:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(4096)
    except OSError:
        return b""
    finally:
        connection.close()


def alive(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/healthz")
    return connection.getresponse().status == 200


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source, sent, statuses = random.Random(options.seed), 0, {}
    trickling = [socket.create_connection(("127.0.0.1", options.port)) for _ in range(20)]
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        request = mutated(source)
        answer = send(options.port, request)
        sent += 1
        status = answer[9:12].decode("latin1") if answer.startswith(b"HTTP/1.1") else "none"
        statuses[status] = statuses.get(status, 0) + 1
        if status == "500":
            print("status 500 for", request)
            sys.exit(1)
        for connection in trickling:
            try:
                connection.send(b"G")
            except OSError:
                pass
    for connection in trickling:
        connection.close()
    flood = [socket.create_connection(("127.0.0.1", options.port)) for _ in range(300)]
    for connection in flood:
        connection.close()
    time.sleep(2)
    if not alive(options.port):
        print("the server is gone")
        sys.exit(1)
    print(f"{sent} requests, answers by status: {statuses}; the server is well")


if __name__ == "__main__":
    main()
