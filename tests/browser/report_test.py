"""The pages of reports in a browser: what they show of real runs of the program, and a batch of 1,000 videos.

    .venv/bin/pip install playwright; apt-get install chromium
    .venv/bin/python -m unittest discover -s tests/browser -p '*_test.py'

FLASHBLOCK_PROGRAM names another program than build/cuda-release/app/flashblock; FLASHBLOCK_SCREENSHOTS a folder that is
filled with screenshots.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("FLASHBLOCK_PROGRAM", str(ROOT / "build/cuda-release/app/flashblock"))
DATA = re.compile(r'(<script type="application/json" id="data">)(.*?)(</script>)', re.DOTALL)
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
PROMPT = "a <b>red</b> balloon & \"hills\" </script>"
SMALL_MODEL = "width=128,layers=2,heads=2,ffn=128,text=64,text_length=16,vae=8"
LARGEST_SEED = 2**63 - 1  # more than a JavaScript number holds
QUICK_MS = 1000  # from a key to the videos that match it, of 1,000, on the screen; a fifth of it on an idle machine
JOBS = """
defaults: {seconds: 1, size: 128x80, output: "videos #1/{name}.mp4"}
jobs:
  - {name: balloon, prompt: a red balloon over the hills, seeds: [2, 10]}
  - {name: lake, prompt: "PROMPT", seed: 9223372036854775807, seconds: 2,
     timeline: [{at: 0.8, prompt: night over the lake}]}
  - {name: typo, prompt: a hill, sed: 3}
"""


def run(folder, *words, statuses=(0,)):
    done = subprocess.run([PROGRAM, *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode in statuses, f"{words}: {done.returncode}\n{done.stderr}"
    return done.stdout


def data_of(page):
    return json.loads(DATA.search(page.read_text())[2])


def with_data(page, data, file):
    """A copy of a page that shows other data."""
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    file.write_text(DATA.sub(lambda found: found[1] + text + found[3], page.read_text()))
    return file


class Tab:
    """An open page. Everything that the browser complains about, and what it asks the network for, is in
    `complaints`."""

    def __init__(self, browser, file, address="", **context):
        self.complaints = []
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 860}} | context))
        self.tab = self.context.new_page()
        self.tab.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(m.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda r: r.url.startswith(("file:", "data:")) or self.complaints.append(r.url))
        self.tab.goto(file.as_uri() + address)

    def ask(self, expression):
        return self.tab.evaluate("() => (" + expression + ")")

    def texts(self, selector):
        return [text.strip() for text in self.tab.locator(selector).all_inner_texts()]

    def text(self, selector="main"):
        return " ".join(self.tab.inner_text(selector).split())

    def overflows(self):
        return self.ask("document.documentElement.scrollWidth > innerWidth")

    def until(self, condition):
        self.tab.wait_for_function(condition, timeout=20000)


folder = browser = None  # of all tests: the reports, and what opens them
undo = contextlib.ExitStack()


def setUpModule():
    global folder, browser
    folder = pathlib.Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="flashblock-reports-")))
    video = ["--seconds", "2", "--size", "128x80", "--device", "cpu", "--progress", "none"]
    policies = ["--policy", "first_and_clean_pass", "--policy", "first_pass"]
    run(folder, "analyze", "redundancy", PROMPT, *video, *policies, "--seed", LARGEST_SEED, "--curves", "-o",
        "redundancy.html")
    run(folder, "analyze", "fidelity", PROMPT, *video, *policies, "--seed", 7, "--stills", 3, "-o", "fidelity.html")
    run(folder, "bench", "--geometry", SMALL_MODEL, "--size", "48x32", "--frames", 60, "--window", 6, "--window", "9:3",
        "--rounds", 2,
        "--device", "cpu", "--dtype", "float32", "--json", "bench.json")
    (folder / "jobs.yaml").write_text(JOBS.replace('"PROMPT"', json.dumps(PROMPT)))
    run(folder, "batch", "jobs.yaml", "--progress", "none", statuses=(2,))
    with_data(folder / "report.html", many_videos(data_of(folder / "report.html"), 1000), folder / "large.html")
    playwright = undo.enter_context(sync_playwright())
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"),
                                         args=["--no-sandbox", "--disable-gpu"])
    undo.callback(browser.close)


def tearDownModule():
    undo.close()


class ReportTest(unittest.TestCase):
    def open(self, file, address="", **context):
        tab = Tab(browser, folder / file, address, **context)
        self.addCleanup(tab.context.close)
        self.addCleanup(lambda: self.assertEqual(tab.complaints, []))
        return tab

    def keep_screenshots(self, file):
        screenshots = os.environ.get("FLASHBLOCK_SCREENSHOTS")
        if not screenshots:
            return
        for name, context in (("light", {}), ("dark", {"color_scheme": "dark"}), ("phone", PHONE)):
            tab = self.open(file, **context)
            tab.tab.wait_for_timeout(300)
            tab.tab.screenshot(path=pathlib.Path(screenshots) / f"{pathlib.Path(file).stem}-{name}.png", full_page=True)

    def check_everywhere(self, file):
        """Light, dark, narrow: readable, and nothing wider than the screen."""
        brightness = ("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)"
                      ".reduce((a, b) => a + Number(b), 0) / 3")
        self.assertGreater(self.open(file, color_scheme="light").ask(brightness), 200)
        self.assertLess(self.open(file, color_scheme="dark").ask(brightness), 60)
        self.assertFalse(self.open(file, **PHONE).overflows())
        self.assertFalse(self.open(file).overflows())
        self.keep_screenshots(file)


class Redundancy(ReportTest):
    def test_shows_every_measure(self):
        data = json.loads((folder / "redundancy.json").read_text())
        self.assertEqual(data_of(folder / "redundancy.html"), data)
        tab = self.open("redundancy.html")
        self.assertEqual(tab.tab.title(), "Redundancy: " + PROMPT)
        self.assertIn("prompt " + PROMPT, tab.text("#facts"))
        self.assertIn(str(LARGEST_SEED), tab.text("#facts"))
        self.assertEqual(tab.texts("#summary p"), data["in_words"])
        cells = data["layers"] * data["heads"]
        self.assertEqual(tab.ask("[...document.querySelectorAll('#heads .map')].map(map => "
                                 "map.querySelectorAll('.cells i').length)"), [cells] * 5)
        share = data["means"]["external_share"][1][0]
        self.assertEqual(tab.ask("document.querySelectorAll('#heads .map')[3]"
                                 ".querySelector('i[title^=\"layer 1, head 0:\"]').title"),
                         f"layer 1, head 0: {share:.2f}")
        self.assertEqual(tab.texts("#policies figcaption"), [
            f"{policy['name']}\n" + self.in_words(data, policy["name"]) +
            f"computes {100 * policy['share']:.1f} % of the external attention" for policy in data["policies"]])
        self.assertIn("first_pass\nrefreshes the first denoising pass of a frame block; computes",
                      "".join(tab.texts("#policies figcaption")))
        self.assertEqual(tab.ask("document.querySelectorAll('#passes .plot').length"), 5)
        self.assertIn("seed: " + str(LARGEST_SEED), tab.ask("document.getElementById('configuration').textContent"))

    @staticmethod
    def in_words(data, name):
        words = data["policies_in_words"].get(re.split("[^a-z_]", name)[0])
        return f"refreshes {words.replace('`', '')}; " if words else ""

    def test_a_table_shows_that_it_goes_on(self):
        boxes = "[...document.querySelectorAll('#numbers .scroll')].map(box => box.classList.contains('more'))"
        phone = self.open("fidelity.html", **PHONE)
        phone.until("document.querySelector('#numbers .scroll.more')")
        phone.ask("document.querySelector('#numbers .scroll').scrollLeft = 10000")
        phone.until("!document.querySelector('#numbers .scroll.more')")
        self.assertEqual(self.open("fidelity.html").ask(boxes), [False])

    def test_shows_error_against_work(self):
        points = data_of(folder / "redundancy.html")["points"]
        tab = self.open("redundancy.html")
        curves = {point["policy"] for point in points if point["setting"]}
        self.assertEqual(set(tab.texts("#points .legend li")), curves)
        tab.tab.click("#points summary")
        self.assertEqual(len(tab.texts("#points tbody tr")), len(points))
        without = with_data(folder / "redundancy.html", data_of(folder / "redundancy.html") | {"points": []},
                            folder / "plain.html")
        self.assertFalse(self.open(without).tab.is_visible("#tradeoff"))

    def test_reads_values_under_the_pointer(self):
        tab = self.open("redundancy.html")
        plot = tab.tab.locator("#passes .plot").first
        plot.hover()
        reading = " ".join(plot.locator(".tip").inner_text().split())
        pairs = data_of(folder / "redundancy.html")["pairs"]
        passes = int(reading.split()[0])
        cosines = [value for pair in pairs if (pair["from_pass"], pair["to_pass"]) == (passes - 1, passes)
                   for row in pair["external_cosine"] for value in row if value is not None]
        self.assertIn(f"external, mean {sum(cosines) / len(cosines):.3f}", reading)
        tab.tab.mouse.move(1, 1)
        self.assertEqual(plot.locator(".tip").count(), 0)

    def test_everywhere(self):
        self.check_everywhere("redundancy.html")

    def test_numbers_ticks_and_paths(self):
        tab = self.open("redundancy.html")
        for expression, wanted in {
                "number(3.14159, 2)": "3.14", "number(-3.14159, 2)": "−3.14", "number(-0.001, 2)": "0.00",
                "number(null, 2)": "–",
                "number(null, 2, '∞')": "∞", "percent(0.1234)": "12.3 %", "percent(null)": "–", "clock(7)": "0:07",
                "moment(0.53, 2)": "0.5 s", "moment(7.9, 60)": "0:07",
                "clock(3665)": "1:01:05",
                "axisTicks(0, 60, 6)": [0, 10, 20, 30, 40, 50, 60],
                "axisTicks(31.2, 52.9, 5)": [30, 35, 40, 45, 50, 55],
                "axisTicks(-0.5, 0.5, 2)": [-0.5, 0, 0.5], "valueTicks([])": [0, 1],
                "logTicks([0.3, 7])": [0.2, 0.5, 1, 2, 5, 10], "logTicks([2, 2])": [2, 5], "mean([1, null, 3])": 2,
                "mean([null])": None,
                "pathThrough([[0, 1000], [250, 0], [500, null], [750, 500]])":
                    "M0.0 1000.0L250.0 0.0M750.0 500.0"}.items():
            self.assertEqual(tab.ask(expression), wanted, expression)
        level = tab.ask("valueTicks([3, 3])")
        self.assertTrue(level[0] < 3 < level[-1])
        depths = "[...heatMap({title: '', note: '', rowName: 'layer', columnName: 'head', " \
                 "values: [[.5, .75], [1.5, null]], low: .5, high: 1})" \
                 ".querySelectorAll('i[title]')].map(cell => [cell.title, cell.style.getPropertyValue('--d')])"
        self.assertEqual(tab.ask(depths),
                         [["layer 0, head 0: 0.50", "0%"], ["layer 0, head 1: 0.75", "50%"],
                          ["layer 1, head 0: 1.50", "100%"],
                          ["layer 1, head 1: nothing to compute", ""]])


class Fidelity(ReportTest):
    def test_shows_verdicts_images_and_the_video(self):
        data = json.loads((folder / "fidelity.json").read_text())
        tab = self.open("fidelity.html")
        self.assertEqual(tab.tab.title(), "Fidelity: " + PROMPT)
        self.assertEqual(tab.texts("#verdicts h3"), ["first_and_clean_pass", "first_pass"])
        verdicts = [one["verdict"] for one in data["runs"] if one["kind"] == "policy"]
        keys = ["computes_at_most_40_percent", "drifts_within_2_percent_of_exact",
                "first_5_seconds_within_3_db_of_noise_floor"]
        self.assertEqual(tab.texts("#verdicts li > span:first-child"),
                         ["✓" if one[key] else "✗" for one in verdicts for key in keys])
        self.assertEqual(tab.texts("#verdicts .card > p:not(.soft)"), [one["in_words"] for one in verdicts])
        self.assertEqual(tab.texts("#verdicts .card > p.soft")[1],
                         "refreshes the first denoising pass of a frame block")
        times = [f"{still['seconds']:.1f} s" for still in data_of(folder / "fidelity.html")["stills"]]
        self.assertEqual(len(set(times)), 3)
        self.assertEqual(tab.texts("#stills em"), times)
        self.assertEqual(tab.texts("#stills b"),
                         ["", "exact", "first_and_clean_pass", "first_pass", "noise floor", "other seed"])
        tab.ask("document.querySelectorAll('#stills img').forEach(image => image.loading = 'eager')")
        tab.until("[...document.querySelectorAll('#stills img')].filter(image => "
                  "image.complete && image.naturalWidth === 128).length === 15")
        tab.until("document.getElementById('video').videoWidth > 128")
        poster = "(image => (image.src = document.getElementById('video').poster, image.decode().then(() => " \
                 "image.naturalWidth === document.getElementById('video').videoWidth)))(new Image())"
        self.assertTrue(tab.ask(poster), "before it plays, a frame of it is there")

    def test_shows_curves_and_tables(self):
        runs = json.loads((folder / "fidelity.json").read_text())["runs"]
        tab = self.open("fidelity.html")
        self.assertEqual(tab.texts("#paired .legend li"), [one["name"] for one in runs[1:]])
        self.assertEqual(tab.texts("#alone .legend li"), [one["name"] for one in runs[:-1]])
        self.assertEqual(tab.ask("document.querySelectorAll('#paired .plot').length"), 4)
        self.assertEqual(tab.ask("[...document.querySelectorAll('#alone .plot')].map(plot => "
                                 "plot.querySelectorAll('path.curve').length)"), [4] * 6)
        rows = [row.split("\t") for row in tab.texts("#numbers tbody tr")]
        self.assertEqual([row[0] for row in rows], [one["name"] for one in runs])
        self.assertEqual(rows[0][2:7], ["–"] * 5, "the exact video against itself")
        self.assertEqual(rows[2][1], f"{100 * runs[2]['computed_share']:.1f} %")
        self.assertEqual(rows[2][3], f"{runs[2]['summary']['frame_psnr_db']:.1f}")
        self.assertEqual(len(tab.texts("#statistics tbody tr")), len(runs))

    def test_equal_videos_and_no_video(self):
        data = data_of(folder / "fidelity.html") | {"video": ""}
        policy = data["runs"][1]
        for key in ("frame_psnr_db", "latent_psnr_db", "first_5_seconds_frame_psnr_db"):
            policy["summary"][key] = None
        policy["verdict"]["first_5_seconds_below_noise_floor_db"] = 0
        tab = self.open(with_data(folder / "fidelity.html", data, folder / "equal.html"))
        self.assertEqual(tab.texts("#numbers tbody tr")[1].split("\t")[2:4], ["∞", "∞"])
        self.assertIn("−0.0 dB", tab.text("#verdicts"))
        self.assertFalse(tab.tab.is_visible("#together"))

    def test_everywhere(self):
        self.check_everywhere("fidelity.html")


class Bench(ReportTest):
    def test_shows_times_and_rates(self):
        data = json.loads((folder / "bench.json").read_text())
        tab = self.open("bench.html")
        self.assertEqual(tab.texts("#windows h2"), ["Window 6, sink 0", "Window 9, sink 3"])
        window = data["windows"][0]
        self.assertEqual(tab.texts(".speedups b")[:2],
                         [f"{window[key]:.2f}×" for key in ("attention_exact_over_r1", "transformer_exact_over_r1")])
        text = tab.text("#windows")
        for rates in window["frames_per_second"].values():
            for rate in rates.values():
                self.assertIn(f"{rate:.2f} fps", text)
        block = window["work"]["frame block"]["first_pass"]
        self.assertIn(f"{1000 * block['median']:.1f} ms ({block['exact_over']:.2f}×)", text)
        for part in window["split"]:
            self.assertIn(part, text)
        self.assertEqual(len(tab.texts("#stages tbody tr")), len(data["stages"]))
        stacks = tab.ask("[...document.querySelectorAll('.track')].map(stack => "
                         "stack.querySelectorAll('i').length).filter(parts => parts > 1)")
        self.assertEqual(stacks[:3], [4, 5, 5], "in exact mode internal and external attention are one part")

    def test_without_videos(self):
        data = data_of(folder / "bench.html")
        for window in data["windows"]:
            del window["videos"], window["frames_per_second"]
        tab = self.open(with_data(folder / "bench.html", data, folder / "blocks.html"))
        self.assertNotIn("Whole videos", tab.text("#windows"))

    def test_everywhere(self):
        self.check_everywhere("bench.html")


def many_videos(real, count):
    """A batch in mid-run, made from a real video of one."""
    states = ["done"] * 14 + ["failed", "running", "elsewhere", "interrupted", "waiting", "waiting"]
    done = next(video for video in real["videos"] if video["state"] == "done")
    videos = []
    for i in range(count):
        state = states[i % len(states)]
        video = done | {"name": f"video-{i}", "job": f"job-{i % 7}", "state": state, "seconds": (i * 37) % 100 + 1,
                        "duration_seconds": i % 60 + 1,
                        "prompt": f"prompt number {i} of the meadow", "ended": f"2026-01-{1 + i % 28:02}T12:00:00Z"}
        if state != "done":
            video = {key: value for key, value in video.items() if key not in ("file", "preview")}
        if state == "failed":
            video["error"] = {"kind": "memory", "status": 4, "message": f"jobs.yaml:{i}: out of <memory>"}
        if state == "running":
            video |= {"block": 3, "blocks": 6, "frames_per_second": 12.34, "eta_seconds": 61}
        videos.append(video)
    counts = {"videos": count, "running": count // 10} | {
        state: sum(video["state"] == state for video in videos)
        for state in ("done", "failed", "interrupted", "waiting")}
    return real | {"videos": videos, "counts": counts}


class Batch(ReportTest):
    def names(self, tab):
        return tab.ask("[...document.querySelectorAll('.video h3')].map(name => name.textContent)")

    def test_shows_every_video_of_a_run(self):
        tab = self.open("report.html")
        self.assertEqual(tab.text("h1"), "3 of 4 videos done")
        self.assertEqual(tab.texts("#videos h2"), ["Failed", "Done"])
        self.assertEqual(self.names(tab), ["typo", "balloon-2", "balloon-10", "lake"])
        typo = tab.tab.locator(".fault").first
        self.assertEqual(typo.locator("b").inner_text(), "jobs.yaml:7")
        self.assertTrue(typo.inner_text().split("\n")[1].startswith("jobs[2].sed: unknown key, did you mean seed?"))
        self.assertIn("length 0:04 rendered in 0:", tab.text("#facts"))
        lake = tab.tab.locator(".video", has_text="lake").last
        text = " ".join(lake.inner_text().split())
        for part in (PROMPT, "0.8 s night over the lake", f"seed {LARGEST_SEED}", "size 128×80", "took"):
            self.assertIn(part, text)
        link = lake.locator("a")
        self.assertEqual(link.get_attribute("href"), "./videos%20%231/lake.mp4")
        self.assertTrue(pathlib.Path(tab.ask("decodeURIComponent(new URL("
                                             "document.querySelector('.video a').href).pathname)")).exists())
        self.assertEqual(link.get_attribute("data-length"), "2.0 s")
        tab.until("[...document.images].length === 3 && [...document.images].every(image => image.complete && "
                  "image.naturalWidth === 10 * 128)")

    def test_previews_beside_the_page(self):
        data = data_of(folder / "report.html")
        for video in data["videos"]:
            if "preview" in video:
                video["preview"] = f"jobs.batch/{video['name']}.jpg"
        tab = self.open(with_data(folder / "report.html", data, folder / "linked.html"))
        tab.until("[...document.images].length === 3 && [...document.images].every(image => image.complete && "
                  "image.naturalWidth > 0)")

    def test_filters_and_sorts(self):
        tab = self.open("large.html")
        self.assertEqual(tab.texts("#videos h2"), ["Failed", "Running", "Interrupted", "Done", "To do"])
        self.assertEqual(tab.texts("#states button"),
                         ["All 1000", "Failed 50", "Running 100", "Interrupted 50", "Done 700", "To do 100"])
        tab.tab.fill("#search", "number 99")
        tab.until("document.querySelectorAll('.video').length === 19")
        self.assertEqual(tab.text("#shown"), "19 of 1000")
        tab.tab.fill("#search", "OUT of <memory>")
        tab.until("document.querySelectorAll('.video').length === 50")
        tab.tab.fill("#search", "")
        tab.tab.click("#states button:has-text('Running')")
        self.assertEqual(len(self.names(tab)), 100)
        self.assertIn("in another run", tab.text("#videos"))
        self.assertIn("12.3 fps left 1:01", tab.text("#videos"))
        tab.tab.click("#states button:has-text('All')")
        tab.tab.select_option("#job", "job-3")
        self.assertEqual(len(self.names(tab)), 143)
        tab.tab.select_option("#job", "")
        for sort, first, last in (("name", "video-0", "video-999"), ("duration", "video-59", "video-960"),
                                  ("seconds", "video-27", "video-900"),
                                  ("when", "video-27", "video-980")):
            tab.tab.select_option("#sort", sort)
            names = self.names(tab)
            self.assertEqual((names[0], names[-1]), (first, last), sort)
            self.assertEqual(len(names), 1000)
        tab.tab.click("#order")
        self.assertEqual(self.names(tab)[0], "video-0", "the other way round")
        tab.tab.fill("#search", "no such video")
        tab.until("document.querySelectorAll('.video').length === 0")
        tab.tab.click("#clear")
        self.assertEqual(len(self.names(tab)), 1000)

    def test_the_view_survives_a_reload(self):
        tab = self.open("large.html")
        tab.tab.fill("#search", "number 9")
        tab.until("document.querySelectorAll('.video').length === 271")
        tab.tab.select_option("#job", "job-2")
        tab.tab.select_option("#sort", "name")
        tab.tab.click("#order")
        tab.tab.click("#states button:has-text('Done')")
        before = self.names(tab)
        self.assertGreater(len(before), 2)
        tab.tab.reload()
        self.assertEqual(self.names(tab), before)
        self.assertEqual(tab.tab.input_value("#search"), "number 9")
        self.assertEqual(tab.tab.input_value("#job"), "job-2")
        self.assertEqual(self.names(self.open("large.html", "#state=failed&sort=nonsense&job=none&q=video-14")),
                         ["video-14"])

    def test_reloads_while_videos_are_rendered_but_not_under_a_typing_hand(self):
        def reloads(page, typing):
            context = browser.new_context()
            self.addCleanup(context.close)
            tab = context.new_page()
            tab.clock.install()
            tab.goto((folder / page).as_uri())
            tab.evaluate("() => { window.old = true; }")
            tab.clock.run_for(25000)
            if typing:
                tab.fill("#search", "x")
            tab.clock.run_for(6000)
            tab.wait_for_timeout(300)
            return not tab.evaluate("() => Boolean(window.old)")
        self.assertTrue(reloads("large.html", typing=False))
        self.assertFalse(reloads("large.html", typing=True))
        self.assertFalse(reloads("report.html", typing=False), "nothing is rendered any more")

    def test_a_thousand_videos_are_quick(self):
        tab = self.open("large.html")
        self.assertLess(tab.ask("performance.getEntriesByType('navigation')[0].domComplete"), 10 * QUICK_MS)
        self.assertLess(tab.ask("document.images.length"), 60, "previews are decoded when they come near the screen")
        took = tab.tab.evaluate("""async () => {
            const times = [], search = document.getElementById('search');
            for (const text of ['9', '99', '991', '', 'meadow', 'nothing at all', '']) {
                const begin = performance.now();
                search.value = text;
                search.dispatchEvent(new Event('input'));
                await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
                times.push(performance.now() - begin);
            }
            return times;
        }""")
        self.assertLess(sorted(took)[len(took) // 2], QUICK_MS, took)
        self.assertLess(max(took), 2 * QUICK_MS, took)
        tab.ask("document.querySelectorAll('.video a')[600].scrollIntoView()")
        tab.until("document.querySelectorAll('.video a')[600].querySelector('img')?.naturalWidth > 0")

    def test_everywhere(self):
        self.check_everywhere("report.html")
        self.check_everywhere("large.html")

if __name__ == "__main__":
    unittest.main()
