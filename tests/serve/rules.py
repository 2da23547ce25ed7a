#!/usr/bin/env python3
"""HTTP as RFC 9110 wants it, seen by a client of the program: schemes and units, bodies in chunks, validators, names of
downloads, signed addresses in a player, origins, a path prefix, and a log without tokens.

usage: tests/serve/rules.py PROGRAM
Needs ffprobe. Exit status 1, with the position, if a check fails.
"""
import http.client, http.server, json, re, subprocess, sys, tempfile, threading, urllib.error, urllib.request

from server import SMALL_VIDEOS, Server

TOKEN = "a-token-of-some-length"
ORIGIN = "http://localhost:3000"
BEARER = {"Authorization": "Bearer " + TOKEN}
JSON = {"Content-Type": "application/json"}


class Client:
    def __init__(self, port, prefix=""):
        self.port, self.prefix = port, prefix

    def __call__(self, method, path, body=None, **headers):
        """A response, read. Headers: `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=180)
        connection.request(method, self.prefix + path, body,
                           {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.body = answer.read()
        connection.close()
        return answer


def frames(address):
    command = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
               "stream=nb_read_frames", "-of", "csv=p=0", address]
    return int(re.search(r"\d+", subprocess.run(command, capture_output=True, text=True, check=True).stdout).group())


def check_requests(ask, video):
    listed = lambda scheme: ask("GET", "/v1/videos", Authorization=scheme + " " + TOKEN).status
    assert [listed(scheme) for scheme in ("Bearer", "bearer", "BEARER")] == [200] * 3
    assert listed("Basic") == 401 and ask("GET", "/v1/videos", Authorization="bearer " + TOKEN.upper()).status == 401

    def order(body, kind="application/json", **more):
        answer = ask("POST", "/v1/videos", body, Content_Type=kind, **BEARER, **more)
        return answer.status, json.loads(answer.body)

    for kind in ("application/json", "Application/JSON; charset=utf-8", "application/json ;charset=utf-8"):
        assert order('{"prompt": "a"}', kind)[0] == 200, kind
    status, made = order(iter([b'{"prompt": ', b'"a lake", "seed": 7}']))  # in chunks
    assert status == 200 and made["prompt"] == "a lake", made
    assert order(iter([b'{"prompt": "', b"a" * 70000, b'"}']))[1]["error"]["code"] == "body_too_large"
    for body, param in (('{"prompt": "x", "seconds": 1e400}', "seconds"), ('{"prompt": "x", "seed": 1e400}', "seed"),
                        ('{"prompt": "x", "prompt": "y"}', "prompt"),
                        ('{"prompt": "x", "timeline": [{"at": 1e999, "prompt": "y"}]}', "timeline.at")):
        status, refusal = order(body)
        assert status == 400 and refusal["error"]["param"] == param, (body, refusal)
        assert "not JSON" not in refusal["error"]["message"], refusal
    form = "".join(f'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n{text}\r\n' for text in "ab") + "--x--"
    assert order(form, "Multipart/Form-Data; boundary=x")[1]["error"]["param"] == "prompt"
    twice = ask("GET", "/v1/videos?limit=1&limit=2", **BEARER)
    assert twice.status == 400 and b"limit" in twice.body, twice.body

    model = json.loads(ask("GET", "/v1/models/demo", **BEARER).body)
    assert model["id"] == "demo" and model["object"] == "model", model
    other = ask("GET", "/v1/models/sora-2.1", **BEARER)
    assert other.status == 404 and json.loads(other.body)["error"]["code"] == "model_not_found", other.body


def check_content(ask, video):
    content = f"/v1/videos/{video}/content"
    whole = ask("GET", content, **BEARER)
    assert whole.getheader("Date") and whole.getheader("Last-Modified"), whole.getheaders()
    tag = whole.getheader("ETag")
    for unit in ("items=0-5", "bytes=0-1,3-4", "bytes=5-2"):
        answer = ask("GET", content, Range=unit, **BEARER)
        assert answer.status == 200 and answer.body == whole.body, unit
    part = lambda **more: ask("GET", content, Range="Bytes=4-7", **BEARER, **more)
    assert part().body == part(If_Range=tag).body == part(If_Range=whole.getheader("Last-Modified")).body == b"ftyp"
    assert part(If_Range='"other"').body == whole.body
    again = ask("GET", content, If_None_Match=tag, **BEARER)
    assert again.status == 304 and not again.body and again.getheader("Content-Length") is None, again.getheaders()
    assert ask("GET", content, If_Modified_Since=whole.getheader("Last-Modified"), **BEARER).status == 304
    page = ask("GET", "/", **BEARER)
    assert ask("GET", "/", If_None_Match=page.getheader("ETag"), **BEARER).status == 304
    name = ask("GET", content + "?download=1", **BEARER).getheader("Content-Disposition")
    assert name == 'attachment; filename="a-red-balloon-7.mp4"', name


def check_signed(server, ask, video, running):
    state = lambda of: json.loads(ask("GET", f"/v1/videos/{of}", **BEARER).body)
    while not state(running)["live"] and state(running)["status"] in ("queued", "in_progress"):
        pass
    now = state(running)
    if now["status"] == "in_progress":
        assert frames(f"{server.url}/{now['playlist_url']}") > 0
        assert frames(f"{server.url}/{now['stream_url']}&from=start") == now["frames"]
    while (now := state(running))["status"] != "completed":
        assert now["status"] in ("queued", "in_progress"), now
    assert frames(f"{server.url}/{now['stream_url']}") == now["frames"]
    other = state(video)["stream_url"]
    assert ask("GET", "/" + other).status == 200
    assert ask("GET", "/" + other.replace(video, running)).status == 401, "an address is for one video"
    assert ask("GET", "/" + other.replace("/content", "")).status == 401, "and for watching alone"


def check_origin(ask, video):
    preflight = ask("OPTIONS", "/v1/videos", Origin=ORIGIN, Access_Control_Request_Method="POST",
                    Access_Control_Request_Headers="authorization, content-type")
    assert preflight.status == 204 and preflight.getheader("Access-Control-Allow-Origin") == ORIGIN, preflight.status
    allowed = preflight.getheader("Access-Control-Allow-Headers").lower()
    assert all(name in allowed for name in ("authorization", "content-type", "range")), allowed
    part = ask("GET", f"/v1/videos/{video}/content", Origin=ORIGIN, Range="bytes=0-3", **BEARER)
    exposed = part.getheader("Access-Control-Expose-Headers")
    assert part.status == 206 and "Content-Range" in exposed and part.getheader("Vary") == "Origin", exposed
    for other in ("http://localhost:3001", "https://localhost:3000", "null"):
        refused = ask("GET", "/v1/videos", Origin=other, **BEARER)
        assert refused.status == 403 and refused.getheader("Access-Control-Allow-Origin") is None, other


class Prefix(http.server.BaseHTTPRequestHandler):
    """A reverse proxy that takes /videos off, as nginx does with `location /videos/ { proxy_pass http://HOST:PORT/; }`.
    """
    upstream = None

    def do_GET(self):
        if not self.path.startswith("/videos/"):
            return self.send_error(404)
        asked = urllib.request.Request(self.upstream + self.path[len("/videos"):], headers=dict(self.headers))
        opener = urllib.request.build_opener(type("Stay", (urllib.request.HTTPRedirectHandler,),
                                                  {"redirect_request": lambda *_: None}))
        try:
            answer = opener.open(asked, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "date"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def check_prefix(server, video):
    handler = type("Behind", (Prefix,), {"upstream": server.url})
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    ask = Client(proxy.server_port, "/videos")
    welcome = ask("GET", "/?token=" + TOKEN)
    assert welcome.status == 303 and welcome.getheader("Location") == "./", welcome.getheaders()
    assert "Path=" not in welcome.getheader("Set-Cookie"), "the cookie is for /videos/"
    cookie = {"Cookie": welcome.getheader("Set-Cookie").partition(";")[0]}
    page = ask("GET", "/", **cookie)
    assert page.status == 200
    absolute = re.findall(rb"""["'`](/(?:v1|hls|stream)[^"'`]*)""", page.body)
    assert not absolute, absolute
    signed = json.loads(ask("GET", f"/v1/videos/{video}", **cookie).body)["stream_url"]
    assert frames(f"http://127.0.0.1:{proxy.server_port}/videos/{signed}") > 0
    proxy.shutdown()


def check_early_viewer(ask):
    made = json.loads(ask("POST", "/v1/videos", '{"prompt": "a boat", "seed": 1}', **BEARER, **JSON).body)
    stream = ask("GET", "/stream.mp4?from=start", **BEARER)  # before its first frame block
    assert stream.status == 200 and stream.body[4:8] == b"ftyp", (stream.status, stream.body[:200])
    gone = ask("GET", "/v1/videos/video_000000000000000000000000/stream.mp4", **BEARER)
    assert gone.status == 404, gone.status
    return made["id"]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(sys.argv[1], folder, "--token", TOKEN, "--origin", ORIGIN, "--max-queue", "100", *SMALL_VIDEOS)
        try:
            ask = Client(server.port)
            video = json.loads(ask("POST", "/v1/videos", '{"prompt": "a red balloon", "seed": 7}', **BEARER,
                                   **JSON).body)["id"]
            assert ask("GET", f"/v1/videos/{video}/stream.mp4?from=start", **BEARER).status == 200
            while ask("GET", f"/v1/videos/{video}/content", **BEARER).status == 409:
                pass
            check_content(ask, video)
            check_origin(ask, video)
            check_prefix(server, video)
            running = check_early_viewer(ask)
            check_signed(server, ask, video, running)
            check_requests(ask, video)
            assert ask("GET", "/?token=" + TOKEN).status == 303
            assert ask("GET", "/v1/videos", Cookie="flashblock=" + TOKEN).status == 401
        finally:
            status = server.close()
            log = server.log.read_text()
    assert status == 0, (status, log)
    assert TOKEN not in log, log
    print("schemes, units, chunks, validators, names, signed addresses, origins, a prefix; no token in the log")


if __name__ == "__main__":
    main()
