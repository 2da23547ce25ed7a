#!/usr/bin/env python3
"""A server behind nginx with TLS, configured as in docs/serve.md: the page, the token, streams and events without
delay.

usage: tests/serve/proxy.py PROGRAM
Reads the configuration from docs/serve.md; only addresses and paths are replaced. Needs nginx and openssl.
"""
import http.client, json, pathlib, re, socket, ssl, subprocess, sys, tempfile, time

from server import ROOT, Server

TOKEN, NAME = "a-token-of-some-length", "videos.example"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def start_nginx(folder, upstream):
    """Starts nginx on a free port, with a new certificate. Returns its process, port and certificate."""
    port, certificate, key = free_port(), folder / "videos.pem", folder / "videos.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + NAME,
                    "-addext",
                    "subjectAltName=DNS:" + NAME, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    site = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/serve.md").read_text(), re.DOTALL).group(1)
    for written, here in (("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
                          ("127.0.0.1:8080", f"127.0.0.1:{upstream}"),
                          ("/etc/ssl/videos.example.pem", str(certificate)), ("/etc/ssl/videos.example.key", str(key))):
        assert written in site, written
        site = site.replace(written, here)
    temporary = "".join(f"{what}_temp_path {folder}/{what};\n"
                        for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
                                       f"events {{}}\nhttp {{ access_log off;\n{temporary}{site}}}\n")
    process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"])
    return process, port, certificate


class Browser:
    """Sends what a browser sends: the host name, the origin, the cookie."""

    def __init__(self, port, certificate):
        self.port, self.context, self.cookie = port, ssl.create_default_context(cafile=certificate), None

    def open(self, method, path, body=None, **headers):
        connection = http.client.HTTPSConnection(NAME, self.port, timeout=60, context=self.context)
        plain = socket.create_connection(("127.0.0.1", self.port))
        connection.sock = self.context.wrap_socket(plain, server_hostname=NAME)
        if self.cookie:
            headers["Cookie"] = self.cookie
        connection.request(method, path, body, {"Host": f"{NAME}:{self.port}", **headers})
        return connection.getresponse()


def check(server, browser):
    origin = {"Origin": f"https://{NAME}:{browser.port}", "Content-Type": "application/json"}
    assert browser.open("GET", "/").status == 401
    welcome = browser.open("GET", "/?token=" + TOKEN)
    assert welcome.status == 303 and welcome.getheader("Location") == "./", welcome.status
    cookie = welcome.getheader("Set-Cookie")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Strict")), cookie
    browser.cookie = cookie.partition(";")[0]
    page = browser.open("GET", "/")
    assert page.status == 200 and "script-src 'sha256-" in page.getheader("Content-Security-Policy"), page.status
    order = json.dumps({"prompt": "a red balloon", "seconds": 12, "seed": 1})
    foreign = {"Origin": "https://evil.example", "Content-Type": "application/json"}
    assert browser.open("POST", "/v1/videos", order, **foreign).status == 403
    events = browser.open("GET", "/v1/events")
    made = browser.open("POST", "/v1/videos", order, **origin)
    assert made.status == 200, made.read()
    video = json.loads(made.read())["id"]

    # Events and segments arrive one by one, before the video is finished.
    state, stream, arrivals = {}, None, []
    while state.get("block", 0) < 3:
        line = events.readline()
        if line.startswith(b"data: "):
            state = json.loads(line[6:])
        if state.get("live") and not stream:
            stream = browser.open("GET", f"/v1/videos/{video}/stream.mp4?from=start")
    assert state["status"] == "in_progress" and stream.status == 200, state
    body = b""
    while data := stream.read1(1 << 16):
        if b"moof" in data:
            arrivals.append(data.count(b"moof"))
        body += data
    blocks = state["blocks"]
    assert body.count(b"moof") == blocks and len(arrivals) > 2, (arrivals, blocks)
    while json.loads(browser.open("GET", "/v1/videos/" + video).read())["status"] != "completed":
        time.sleep(0.1)
    part = browser.open("GET", f"/v1/videos/{video}/content", Range="bytes=4-7")
    assert part.status == 206 and part.read() == b"ftyp", part.status
    return blocks


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = Server(sys.argv[1], folder, "--host", NAME, "--token", TOKEN, "--set", "size=64x64")
        nginx, port, certificate = start_nginx(folder, server.port)
        try:
            while subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], capture_output=True).returncode:
                assert nginx.poll() is None, (folder / "error.log").read_text()
                time.sleep(0.05)
            blocks = check(server, Browser(port, certificate))
        finally:
            nginx.terminate()
            nginx.wait()
            server.close()
    print(f"through nginx with TLS: token, cookie, page, events, a stream of {blocks} segments as they came, ranges")


if __name__ == "__main__":
    main()
