"""The page in a browser, against the program: watching, changing prompts, downloads.

    .venv/bin/pip install playwright; apt-get install chromium
    .venv/bin/python -m unittest discover -s tests/browser -p '*_test.py'

FLASHBLOCK_PROGRAM is the program, by default build/cuda-release/app/flashblock; FLASHBLOCK_SCREENSHOTS a folder for
screenshots.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/serve"))
from server import PATIENCE, Server
PROGRAM = os.environ.get("FLASHBLOCK_PROGRAM", str(ROOT / "build/cuda-release/app/flashblock"))
LATEST_FRAME = 1.0  # seconds from the first frame block on disk to its frame on the screen

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DAY, NIGHT = "a red balloon drifts over green hills on a clear day", "night falls over the green hills"


def packets(video):
    """The coded frames of a video, one checksum each."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(video), "-map", "0:v", "-c", "copy", "-f", "framemd5",
               "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split(",")[-1].strip() for line in text.splitlines() if not line.startswith("#")]


class Page:
    """One viewer. `complaints` holds the errors and warnings of the browser's console."""

    def __init__(self, browser, url, script=None, within=None, **context):
        """`within`: the page whose browser window it shares, as a further tab."""
        self.complaints = []
        self.context = within.context if within else browser.new_context(
            **({"viewport": {"width": 1280, "height": 860}} | context))
        self.tab = self.context.new_page()
        if script:
            self.tab.add_init_script(script)
        self.tab.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(m.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.goto(url + "/")
        self.until("$('service').dataset.state !== 'away'")

    def ask(self, expression):
        return self.tab.evaluate("() => (" + expression + ")")

    def until(self, condition):
        """Waits for a JavaScript condition. (wait_for_function would need `eval`, which the page's policy forbids.)"""
        end = time.monotonic() + PATIENCE
        while not self.ask("Boolean(" + condition + ")"):
            if time.monotonic() > end:
                raise AssertionError(condition + " did not come true: " + self.ask(
                    "document.body.innerText + JSON.stringify([...videos.values()])") + str(self.complaints))
            self.tab.wait_for_timeout(30)

    def brightness_at(self, seconds):
        """Mean brightness of the displayed frame, 0 to 255."""
        self.tab.evaluate("""async seconds => {
            video.pause();
            if (player) player.wantsPlay = false;
            const there = new Promise(done => video.requestVideoFrameCallback(done));
            video.currentTime = seconds;
            await there;
        }""", seconds)
        return self.ask("""(() => {
            const canvas = new OffscreenCanvas(64, 36), context = canvas.getContext('2d');
            context.drawImage(video, 0, 0, 64, 36);
            const data = context.getImageData(0, 0, 64, 36).data;
            return data.reduce((sum, value, i) => i % 4 === 3 ? sum : sum + value, 0) / (64 * 36 * 3);
        })()""")

    def screenshot(self, name):
        folder = os.environ.get("FLASHBLOCK_SCREENSHOTS")
        if folder:
            self.tab.screenshot(path=pathlib.Path(folder) / (name + ".png"), full_page=True)


class BrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="flashblock-browser-")
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.server = Server(PROGRAM, cls.folder)
        cls.playwright = sync_playwright().start()
        cls.browser = cls.playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.playwright.stop()
        status = cls.server.close()
        cls.temporary.cleanup()
        assert status in (0, 143), f"the server ended with {status}"

    def open(self, **context):
        page = Page(self.browser, self.server.url, **context)
        self.addCleanup(page.context.close)
        return page

    def start(self, page, prompt, seconds, seed, size="256x144"):
        """Starts a video with the keyboard alone: to the prompt with /, through the fields with Tab, Enter sends it."""
        known = page.ask("[...videos.keys()]")
        keyboard = page.tab.keyboard
        page.ask("document.activeElement.blur()")
        keyboard.press("/")
        self.assertEqual(page.ask("document.activeElement.id"), "prompt")
        keyboard.insert_text(prompt)
        for field, text in (("seconds", seconds), ("size", size), ("seed", seed)):
            while page.ask("document.activeElement.id") != field:
                keyboard.press("Tab")
            keyboard.press("Control+a")
            keyboard.insert_text(str(text))
        keyboard.press("Enter")
        page.until("[...videos.keys()].some(id => !" + json.dumps(known) + ".includes(id))")
        return page.ask("[...videos.keys()].find(id => !" + json.dumps(known) + ".includes(id))")

    def test_1_video_is_watched_steered_and_rendered_again(self):
        first = self.open()
        first.screenshot("empty")
        first.ask("void video.requestVideoFrameCallback(() => { window.firstFrame = Date.now() / 1000; })")
        video = self.start(first, DAY, 8, 7)
        first.until("videos.get('%s').block >= 1" % video)
        segment = next((self.folder / "videos").rglob("000000.m4s"))
        finished = segment.stat().st_mtime
        first.until("window.firstFrame")
        delay = first.ask("window.firstFrame") - finished
        print(f"first frame on the screen {delay:.2f} s after the first frame block was finished")
        self.assertLess(delay, LATEST_FRAME)

        first.ask("document.activeElement.blur()")
        first.tab.keyboard.press("/")
        self.assertEqual(first.ask("document.activeElement.id"), "next")
        first.tab.keyboard.insert_text(NIGHT)
        first.tab.keyboard.press("Control+Enter")
        first.until("videos.get('%s').block >= 3" % video)
        second = self.open(color_scheme="dark")
        second.until("video.readyState >= 2")
        phone = self.open(**PHONE)
        phone.until("video.readyState >= 2")
        self.assertGreater(second.ask("video.buffered.start(0)"), 0, "it joined in the middle")
        first.until("videos.get('%s').timeline.length === 1" % video)
        first.screenshot("rendering")
        second.screenshot("rendering-dark")
        phone.screenshot("rendering-phone")
        self.assertLessEqual(phone.ask("document.documentElement.scrollWidth"), 390)
        for page in (first, second):
            page.until("video.ended")
            self.assertIsNone(page.ask("video.error"))
            self.assertAlmostEqual(page.ask("video.currentTime"), 8.0, delta=0.2)
        first.screenshot("done")

        change = first.ask("videos.get('%s').timeline[0]" % video)
        self.assertEqual(change["prompt"], NIGHT)
        self.assertIn(NIGHT, first.ask("$('spoken').innerText"))
        before, after = first.brightness_at(change["at"] - 0.2), first.brightness_at(7.9)
        self.assertLess(after, before - 20, "night is not darker than day")

        (self.folder / "steered.mp4").write_bytes(self.server.get("/v1/videos/" + video + "/content"))
        subprocess.run([PROGRAM, "render", DAY, "--model", str(ROOT / "assets/demo"), "--device", "cpu", "--seconds",
                        "8", "--seed", "7",
                        "--prompt-at", f"{change['at']}={NIGHT}", "--output", str(self.folder / "again.mp4"),
                        "--quiet"],
                       check=True)
        steered = packets(self.folder / "steered.mp4")
        self.assertEqual(len(steered), 128)
        self.assertEqual(packets(self.folder / "again.mp4"), steered, "the same video, bit for bit")
        self.assertEqual(first.complaints + second.complaints + phone.complaints, [])

    def test_2_earlier_video_is_watched_saved_and_deleted(self):
        page = self.open()
        page.until("document.querySelector('.card img')?.naturalWidth > 0")
        page.tab.locator(".card .play").first.click()
        page.until("video.currentTime > 0.1")
        page.ask("document.activeElement.blur()")
        page.tab.keyboard.press(" ")
        page.until("video.paused")
        place = page.ask("video.currentTime")
        page.tab.keyboard.press("ArrowRight")
        page.until("Math.abs(video.currentTime - %f) < 0.2" % (place + 1))
        page.tab.locator("#bar").focus()
        page.tab.keyboard.press("End")
        page.until("video.currentTime > 7")
        self.assertIn("0:07", page.ask("$('bar').getAttribute('aria-valuetext')"))
        with page.tab.expect_download() as download:
            page.tab.locator("#save").click()
        self.assertEqual(len(packets(download.value.path())), 128)
        page.tab.locator(".card .act[title=Delete]").click()
        page.tab.locator(".card .sure").click()
        page.until("!document.querySelector('.card') && !$('none').hidden")
        self.assertEqual(json.loads(self.server.get("/v1/videos"))["data"], [])
        self.assertEqual(page.complaints, [])

    def test_3_video_is_stopped_and_kept(self):
        page = self.open()
        video = self.start(page, DAY, 60, "")
        page.until("videos.get('%s').block >= 1" % video)
        page.tab.locator("#stop").click()
        page.until("videos.get('%s').status === 'cancelled' && watchable(videos.get('%s'))" % (video, video))
        page.until("video.currentTime > 0")
        page.screenshot("stopped")
        self.assertAlmostEqual(page.ask("leadOf(videos.get('%s')).block" % video), 0.75, msg="frame blocks as they are")
        self.assertEqual(page.complaints, [])

    def test_4_error_is_shown(self):
        page = self.open()
        page.tab.locator("#prompt").fill("a boat")
        page.tab.locator("#size").fill("250x144")
        page.tab.locator("#start").click()
        page.until("!document.querySelector('#new .fault').hidden")
        self.assertIn("250x144", page.ask("document.querySelector('#new .fault').innerText"))
        self.assertEqual([text for text in page.complaints if "400" not in text], [])

    def test_5_plays_hls_where_there_is_no_mediasource(self):
        page = self.open(script="delete window.MediaSource; delete window.ManagedMediaSource;")
        video = self.start(page, DAY, 4, 3)
        page.until("video.currentSrc.endsWith('/hls/%s/live.m3u8?from=start') && video.currentTime > 0" % video)
        page.until("video.ended")
        # Chromium ignores EXT-X-START: it may start three target durations, 3 s, before the end of a growing playlist,
        # at the segment (0.75 s) that begins after that point, and counts from there.
        self.assertGreater(page.ask("video.currentTime"), 3 - 0.75)
        self.assertLess(page.ask("video.currentTime"), 4.2)
        self.assertEqual(page.complaints, [])

    def test_6_rate_follows_the_render(self):
        """The page's playback rate for renders of several speeds: blocks of 0.75 s that arrive every `block / speed`
        seconds."""
        page = self.open()
        for speed, least, most, stops in ((2.0, 1, 1, 0), (1.0, .9, 1, 0), (.8, .75, .85, 0), (.6, .55, .65, 0),
                                          (.3, .5, .5, 30)):
            seen = page.ask("""(() => {
                const pace = new Pace(), block = .75, step = .1, speed = %f, rates = [];
                let at = 0, made = block, held = true, stops = 0, jumps = 0, last = null;
                for (let t = 0; t < 100; t += step) {
                    while (made < block * (1 + Math.floor(t * speed / block + 1e-9))) made += block;
                    const choice = pace.choose(made - at, false, block, speed);
                    if (choice.rate === 0 && !held) ++stops;
                    held = choice.rate === 0;
                    at = Math.min(made, at + step * choice.rate);
                    if (t < 10 || held) { last = null; continue; }
                    rates.push(choice.rate);
                    if (last !== null && Math.abs(choice.rate - last) > .02) ++jumps;
                    last = choice.rate;
                }
                return { stops, jumps, least: Math.min(...rates), most: Math.max(...rates), shown: at };
            })()""" % speed)
            with self.subTest(speed=speed, seen=seen):
                self.assertGreaterEqual(seen["least"], least)
                self.assertLessEqual(seen["most"], most)
                self.assertLessEqual(seen["stops"], stops)
                self.assertEqual(seen["jumps"], 0, "a rate that changes smoothly")
                self.assertGreater(seen["shown"], 100 * min(1, speed) - 5)

    def test_7_slow_render_is_played_slowly_and_reported(self):
        page = self.open()
        video = self.start(page, DAY, 3, 4, size="512x288")  # a quarter of real time, on two cores
        page.until("videos.get('%s').block >= 3 && player && player.choice" % video)
        says = {"real": "Plays as it is rendered", "slow": "A little slower", "crawl": "A little slower",
                "wait": "Waiting for frames", "whole": ""}
        modes, slowest = set(), 9  # the line says how long it takes, not how it is played
        while page.ask("videos.get('%s').status === 'in_progress'" % video):
            mode, rate, text, playing, speed = page.ask(
                "[player.choice.mode, player.choice.rate, $('pace').innerText, video.playbackRate, "
                "player.pace.speed(videos.get('%s'))]" % video)
            slower = speed and speed < .97 and mode != "whole"
            self.assertTrue(text.startswith("Renders slower than it plays" if slower else says[mode]), (mode, text))
            self.assertTrue(rate == 0 or abs(rate - playing) <= .021, (rate, playing))
            modes.add(mode)
            slowest = min(slowest, speed or 9)
            page.tab.wait_for_timeout(50)
        if slowest < .5:
            self.assertTrue(modes & {"crawl", "wait"}, modes)
        elif slowest < .9:
            self.assertTrue(modes & {"slow", "wait"}, modes)
        page.until("video.ended")
        self.assertEqual(page.complaints, [])

    def test_8_fits_a_phone_and_labels_everything(self):
        page = self.open(**PHONE, color_scheme="dark", reduced_motion="reduce")
        self.assertLessEqual(page.ask("document.documentElement.scrollWidth"), 390)
        unnamed = page.ask("""[...document.querySelectorAll('button, input, textarea, a, [role=slider], video')]
            .filter(e => !e.ariaLabel && !e.innerText && !e.textContent.trim() && !e.labels?.length)
            .map(e => e.outerHTML)""")
        self.assertEqual(unnamed, [])
        self.assertEqual(page.ask("document.getAnimations().length"), 0)
        self.assertNotEqual(page.ask("getComputedStyle(document.body).backgroundColor"), "rgb(245, 244, 240)")
        page.screenshot("phone")
        self.assertEqual(page.complaints, [])

    def test_9_page_of_a_preview_reports_its_end(self):
        log = self.folder / "preview.log"
        with open(log, "w") as errors:
            command = subprocess.Popen([PROGRAM, "render", DAY, "--model", str(ROOT / "assets/demo"), "--device", "cpu",
                                        "--seconds", "3",
                                        "--seed", "5", "--output", str(self.folder / "preview.mp4"), "--preview",
                                        "127.0.0.1:0"],
                                       stdout=errors, stderr=errors)
        self.addCleanup(command.wait)
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            self.assertIsNone(command.poll(), log.read_text())
            time.sleep(0.05)
        page = Page(self.browser, found.group())
        self.addCleanup(page.context.close)
        page.until("video.readyState >= 2")
        self.assertTrue(page.ask("$('new').hidden && $('stop').hidden"), "it renders this video and no other")
        page.screenshot("preview")
        page.until("over && video.ended")
        self.assertEqual(command.wait(PATIENCE), 0)
        self.assertIn("so is the command", page.ask("$('service').innerText"))
        self.assertTrue(page.ask("$('save').hidden"))
        self.assertEqual([text for text in page.complaints if "ERR_" not in text], [])


    def test_a_twenty_tabs_get_through(self):
        """A browser opens six connections to a server, for all its tabs together."""
        video = self.server.order(prompt=DAY, seconds=60)
        first = self.open()
        tabs = [first] + [Page(self.browser, self.server.url, within=first) for _ in range(19)]
        first.until("video.readyState >= 2")
        tabs[-1].until("videos.get('%s').live" % video)
        first.tab.fill("#next", NIGHT)
        first.tab.click("#steer .main-button")
        first.until("!$('steer').querySelector('.main-button').disabled")
        state = json.loads(self.server.get("/v1/videos/" + video))
        self.assertIn(NIGHT, [state["pending_prompt"]] + [change["prompt"] for change in state["timeline"]])
        for tab in tabs[5::7]:  # all of them are told
            tab.until("(v => [v.pending_prompt, ...v.timeline.map(c => c.prompt)].includes('%s'))(videos.get('%s'))"
                      % (NIGHT, video))
        metrics = self.server.get("/metrics").decode()
        self.assertIn('flashblock_viewers{kind="events"} 1\n', metrics, "one connection serves all")
        self.assertIn('flashblock_viewers{kind="stream"} 0\n', metrics, "and none is kept for the video")
        tabs[0].tab.close()  # another tab takes over
        tabs[1].tab.click("#stop")
        tabs[1].until("videos.get('%s').status === 'cancelled'" % video)
        tabs[-1].until("videos.get('%s').status === 'cancelled'" % video)
        self.assertEqual([tab.complaints for tab in tabs if tab.complaints], [])

    def test_b_server_goes_away_and_comes_back(self):
        folder = self.folder / "away"
        folder.mkdir()
        server = Server(PROGRAM, folder)
        page = Page(self.browser, server.url, viewport={"width": 390, "height": 844})
        self.addCleanup(page.context.close)
        video = self.start(page, DAY, 30, 5)
        for status in ("queued", "in_progress"):
            page.ask("drawFigures({ status: '%s', eta_seconds: null, seed: 5, block: 0 })" % status)
            self.assertEqual(page.ask("$('f-left-name').innerText + ': ' + $('f-left').innerText.trim()").lower(),
                             "time left: –", "not known")
        page.until("videos.get('%s').block >= 2 && video.readyState >= 2" % video)
        shown = page.ask("video.currentTime")
        server.process.kill()
        server.process.wait()
        page.until("away")
        self.assertTrue(page.ask("$('message').checkVisibility() && video.readyState >= 2"))
        self.assertIn("does not respond", page.ask("$('message').innerText"))
        self.assertGreaterEqual(page.ask("video.currentTime"), shown, "the last frame stays")
        page.screenshot("away-phone")
        page.tab.fill("#next", NIGHT)
        page.tab.click("#steer .main-button")
        page.until("$('steer').querySelector('.fault').innerText.includes('does not respond')")
        server = Server(PROGRAM, folder, port=server.port)
        self.addCleanup(server.close)
        page.until("!away")
        self.assertEqual(page.ask("$('steer').querySelector('.fault').innerText"), "", "that is over")
        state = json.loads(server.get("/v1/videos/" + video))
        self.assertEqual(state["status"], "in_progress")
        page.until("videos.get('%s').block >= 4" % video)
        page.until("player.end > %f" % (shown + 1))
        self.assertNotIn("respond", page.ask("document.body.innerText"))
        self.assertNotEqual(page.ask("$('f-left').innerText"), "0:00 to render")
        page.until("videos.get('%s').eta_seconds !== null" % video)
        page.tab.click("#stop")
        page.until("videos.get('%s').status === 'cancelled'" % video)
        # What was deleted while the page did not hear of it is gone.
        server.process.kill()
        server.process.wait()
        page.until("away")
        shutil.rmtree(folder / "videos" / video)
        server = Server(PROGRAM, folder, port=server.port)
        self.addCleanup(server.close)
        page.until("!away && videos.size === 0")
        self.assertEqual([text for text in page.complaints if "ERR_" not in text], [])

    def test_c_long_prompts_fit(self):
        prompt = "a red balloon " * 30 + "W" * 200
        wide, phone = self.open(), self.open(**PHONE)
        video = self.start(wide, prompt, 20, 3)
        boxes = """(() => {
            const s = $('screen').getBoundingClientRect(), page = document.documentElement;
            const m = $('message').querySelector('span').getBoundingClientRect();
            return [m.left - s.left, s.right - m.right, s.bottom - m.bottom, innerWidth - page.scrollWidth];
        })()"""
        for page in (wide, phone):
            page.until("shown === '%s' && videos.get('%s').status === 'in_progress'" % (video, video))
            self.assertGreaterEqual(min(page.ask(boxes)), 0, page.ask(boxes))
            page.screenshot("long-" + ("phone" if page is phone else "wide"))
        wide.until("videos.get('%s').live" % video)
        wide.tab.click("#stop")
        for page in (wide, phone):
            page.until("videos.get('%s').status === 'cancelled'" % video)
            self.assertGreaterEqual(page.ask("innerWidth - document.documentElement.scrollWidth"), 0)
        self.assertEqual(wide.complaints + phone.complaints, [])

    def test_d_page_opens_with_the_newest_video(self):
        video = self.server.order(prompt=DAY, seconds=2, seed=5, size="256x144",
                                  timeline=[{"at": 1, "prompt": NIGHT}])
        self.server.wait_for(video)
        page = self.open(**PHONE)
        page.until("shown === '%s' && !$('play').disabled" % video)
        self.assertTrue(page.ask("video.paused && video.poster.includes('thumbnail')"))
        self.assertFalse(page.ask("$('message').checkVisibility()"))
        page.screenshot("again-phone")
        page.tab.locator(".card .act[title='Use these settings']").first.click()
        self.assertEqual(page.ask("[...$('story').querySelectorAll('textarea')].map(t => t.value)"), [DAY, NIGHT])
        self.assertEqual(page.ask("$('seed').value"), "5")
        small = page.ask("[...document.querySelectorAll('button, .act, a')].filter(e => e.checkVisibility()"
                         " && e.getBoundingClientRect().height < 36).map(e => e.outerHTML)")
        self.assertEqual(small, [], "large enough for a finger")
        with page.tab.expect_download() as download:
            page.tab.locator(".card .act").first.click()
        self.assertRegex(download.value.suggested_filename, r"^a-red-balloon-.*-5\.mp4$")
        page.tab.locator("#play").click()
        page.until("video.currentTime > 0.1")
        self.assertEqual(page.complaints, [])

    def test_e_says_why_a_video_waits(self):
        page = self.open()
        video = self.server.order(prompt=DAY, seconds=2, seed=6, size="64x64")
        self.server.wait_for(video)
        page.until("videos.get('%s')?.status === 'completed'" % video)
        page.ask("""(show('%s'), take({ ...videos.get('%s'), status: 'in_progress', live: false, frames_written: 16,
            frames_per_second: null, eta_seconds: null,
            waiting_for: { code: 'disk_full', message: "the server's disk is full" } }))""" % (video, video))
        self.assertIn("disk is full", page.ask("$('service').innerText"))
        self.assertIn("disk is full", page.ask("$('message').innerText"))
        self.assertFalse(page.ask("$('play').disabled"), "what there is can be watched")
        self.assertEqual(page.ask("$('f-left').innerText.trim()"), "–")
        page.screenshot("waiting")

    def test_f_request_without_an_answer_says_so(self):
        page = self.open()
        page.tab.route("**/v1/videos", lambda route: None)  # no answer, ever
        page.tab.fill("#prompt", "a boat")
        page.tab.click("#start")
        page.until("$('new').querySelector('.fault').innerText.includes('No answer from the server yet')")
        page.until("$('new').querySelector('.fault').innerText.includes('did not answer within 20 seconds')")
        self.assertFalse(page.ask("$('start').disabled"))
        page.tab.fill("#prompt", "another boat")
        self.assertEqual(page.ask("$('new').querySelector('.fault').innerText"), "", "a former fault is gone")


    def test_g_hidden_tab_lets_go(self):
        """A tab of a browser without locks, as on pages of other machines without TLS."""
        page = self.open(script="Object.defineProperty(navigator, 'locks', { value: undefined });")
        line = 'flashblock_viewers{kind="events"} %d\n'
        listeners = lambda count: line % count in self.server.get("/metrics").decode()
        hide = lambda hidden: page.ask("""(Object.defineProperty(document, 'hidden', { value: %s, configurable: true }),
            document.dispatchEvent(new Event('visibilitychange')))""" % str(hidden).lower())
        video = self.server.order(prompt=DAY, seconds=30)
        page.until("video.readyState >= 2")
        self.assertTrue(listeners(1))
        hide(True)
        page.until("!player.buffer.updating && player.queue.length === 0")
        end = time.monotonic() + PATIENCE
        while not listeners(0) and time.monotonic() < end:
            time.sleep(0.1)
        self.assertTrue(listeners(0), "a tab that nobody sees keeps no connection")
        have, block = page.ask("player.end"), json.loads(self.server.get("/v1/videos/" + video))["block"]
        self.server.wait_for(video, lambda state: state["block"] >= block + 3)
        self.assertEqual(page.ask("player.end"), have, "and fetches nothing")
        hide(False)
        page.until("player.end > %f" % (have + 1))
        page.tab.click("#stop")
        page.until("videos.get('%s').status === 'cancelled'" % video)
        self.assertEqual(page.complaints, [])


if __name__ == "__main__":
    unittest.main()
