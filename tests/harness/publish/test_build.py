"""Publishing: the same bytes each time, nothing outside its folder, the old site whole until then."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from harness.errors import HarnessError
from harness.publish import folder as site_folder
from harness.publish import pages
from harness.publish.build import PublishOptions, PublishReport, publish
from harness.publish.serve import make_server
from tests.compare_bytes import file_hashes
from tests.paths import DATA, ROOT

SEASON = DATA / "season"
PLAIN = PublishOptions(pictures=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("published") / "site"
    publish(SEASON, out, PublishOptions(base_url="https://example.org/golf", pictures=False))
    return out


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SEASON, tmp_path / "runs"))


def test_every_hole_has_a_page_with_its_record_and_curve(site: Path) -> None:
    pages = sorted(path.stem for path in (site / "holes").glob("*.html"))
    assert pages == sorted(path.name for path in SEASON.iterdir() if path.is_dir())
    record = json.loads((site / "holes/round_006_fp16embed.json").read_text())
    assert record["val_bpb"] == 1.4141
    csv = (site / "holes/round_006_fp16embed.csv").read_text().splitlines()
    assert csv[0] == "step,train_loss,val_loss,val_bpb,train_time_ms"
    assert csv[-1].startswith("1300,2.3685,")


def test_the_example_page_shows_its_numbers(site: Path) -> None:
    html = (site / "holes/round_006_fp16embed.html").read_text()
    for shown in (
        "1.4141",
        "2.3876",
        "17,059,912",
        "13,678,772",
        "300 s",
        "1,300 steps",
        "231 ms",
        "+0.1897",
        "+0.1944",
        "+0.0002",
        "2,321,228 bytes",
        "Triple Bogey",
        "Round 1, Hole 6",
        "Encouraging Miss",
        "13.68 MB",
    ):
        assert shown in html, shown
    assert html.count("<h1") == 1
    assert re.search(r'<head>\s*<meta http-equiv="Content-Security-Policy"', html)
    assert "<style" not in html
    assert not re.search(r"\sstyle=|\son\w+=", html)


def test_a_hole_page_stays_light(site: Path) -> None:
    """The limits of docs/site.md: everything one page loads, as a host sends it."""
    shared = [site / "assets" / name for name in ("club.css", "club.js", "favicon.svg")]
    assert (site / "assets" / "club.js").stat().st_size <= 4096
    for page in (site / "holes").glob("*.html"):
        loaded = [path.read_bytes() for path in [page, *shared]]
        assert sum(map(len, loaded)) <= 100_000
        assert sum(len(gzip.compress(content)) for content in loaded) <= 30_000
        reader = TagReader()
        reader.feed(page.read_text())
        assert len(reader.tags) <= 800
        requests = {
            attrs[key]
            for tag, attrs in reader.tags
            for key in ("src", "href")
            if tag in ("link", "script", "img")
            and key in attrs
            and attrs.get("rel") in (None, "stylesheet", "icon")
        }
        assert len(requests) == len(shared)


def test_pages_link_only_inside_or_in_notes(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for target in re.findall(
            r'(?:href|src)="([^"]+)"', page.read_text().replace("https://example.org/golf/", "CANONICAL")
        ):
            if target.startswith(("#", "CANONICAL")):
                continue
            path = (page.parent / target.split("#")[0]).resolve()
            assert path.is_file(), (page.name, target)
            assert path.is_relative_to(site.resolve())


def test_feeds_and_lists_hold_every_hole(site: Path) -> None:
    atom = ET.parse(site / "feed.xml").getroot()
    entries = atom.findall("{http://www.w3.org/2005/Atom}entry")
    assert len(entries) == 9  # the unplayed hole is no news
    assert "1.4141 (+0.1897 to par), Triple Bogey" in (site / "feed.xml").read_text()
    assert json.loads((site / "feed.json").read_text())["version"].endswith("1.1")
    holes = {hole["hole"]: hole for hole in json.loads((site / "holes.json").read_text())["holes"]}
    assert len(holes) == 10
    assert holes["round_006_fp16embed"]["to_par"] == 0.1897
    assert "https://example.org/golf/holes/round_006_fp16embed.html" in (site / "sitemap.xml").read_text()
    assert "Sitemap: https://example.org/golf/sitemap.xml" in (site / "robots.txt").read_text()
    assert (site / ".nojekyll").is_file()


def test_a_second_publish_changes_no_byte(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    first = publish(runs, out, PLAIN)
    before = file_hashes(out)
    second = publish(runs, out, PLAIN)
    assert file_hashes(out) == before
    assert (second.written, second.unchanged) == (0, first.written)


def test_another_folder_gives_the_same_bytes(runs: Path, tmp_path: Path) -> None:
    publish(runs, tmp_path / "a", PLAIN)
    moved = tmp_path / "elsewhere" / "season"
    shutil.copytree(runs, moved)
    publish(moved, tmp_path / "b" / "deep", PLAIN)
    assert file_hashes(tmp_path / "a") == file_hashes(tmp_path / "b" / "deep")


def test_only_what_depends_on_a_change_is_written(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    publish(runs, out, PLAIN)
    notes = runs / "round_003_wide_fairway" / "notes.md"
    notes.write_text("## Post-Round Lesson\n\nCount the clubs first.\n")
    report = publish(runs, out, PLAIN)
    assert "holes/round_003_wide_fairway.html" in report.changed
    assert report.written <= 4  # its page, its round's, the index and a feed at most


def test_a_hole_that_is_gone_leaves_no_page(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    publish(runs, out, PLAIN)
    shutil.rmtree(runs / "round_004_longer_irons")
    publish(runs, out, PLAIN)
    assert not (out / "holes" / "round_004_longer_irons.html").exists()


def test_an_interrupted_publish_leaves_the_old_site_whole(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    publish(runs, out, PLAIN)
    before = file_hashes(out)
    (runs / "round_001_baseline" / "notes.md").write_text("## The Shot\n\nchanged\n")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pages, "write_feeds", interrupt)
    with pytest.raises(KeyboardInterrupt):
        publish(runs, out, PLAIN)
    assert file_hashes(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "site"]


def test_a_publish_killed_between_its_two_renames_is_mended(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    publish(runs, out, PLAIN)
    before = file_hashes(out)
    out.rename(tmp_path / ".site.999999999.tmp-old")
    publish(runs, out, PLAIN)
    assert file_hashes(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "site"]


# Publishes, and ends at the n-th change of the file system as kill -9 would; prints what they were.
KILLED = """
import os, signal, sys
changes = ("os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "shutil.rmtree", "ctypes.dlsym")
seen, last = [], int(sys.argv[3])
def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and args[1][:1] in "wxa"
    if event in changes or writes:
        seen.append(event)
        if len(seen) == last:
            os.kill(os.getpid(), signal.SIGKILL)
from harness.publish.build import PublishOptions, publish
from pathlib import Path
sys.addaudithook(watch)
publish(Path(sys.argv[1]), Path(sys.argv[2]), PublishOptions(pictures=False))
print(*seen)
"""


def test_a_killed_publish_leaves_the_old_site_or_the_new_one(tmp_path: Path) -> None:
    """Never none and never half of one, wherever it ends; and the next publish sweeps up."""
    runs, out = tmp_path / "runs", tmp_path / "site"
    shutil.copytree(SEASON / "round_001_baseline", runs / "round_001_baseline")
    publish(runs, out, PLAIN)
    old = file_hashes(out)
    (runs / "round_001_baseline" / "notes.md").write_text("## The Shot\n\nchanged\n")
    publish(runs, tmp_path / "new", PLAIN)
    new = file_hashes(tmp_path / "new")
    shutil.rmtree(tmp_path / "new")

    shutil.copytree(out, tmp_path / "kept")

    def publish_until(change: int) -> subprocess.CompletedProcess[str]:
        for left in (out, *tmp_path.glob(".site.*")):
            shutil.rmtree(left)
        shutil.copytree(tmp_path / "kept", out)
        command = (sys.executable, "-c", KILLED, str(runs), str(out), str(change))
        env = os.environ | {"HARNESS_CACHE": str(tmp_path / "cache")}
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)

    publish_until(0)  # the cache knows the season now
    changes = publish_until(0).stdout.split()
    assert file_hashes(out) == new
    gone = len(changes) - changes[::-1].index("shutil.rmtree")  # of the old site, whose place is taken
    found = []
    for change in (1, gone // 2, gone - 1, gone, gone + 1, gone + 10):
        assert publish_until(change).returncode == -9
        hashes = file_hashes(out)
        found.append("old" if hashes == old else "new" if hashes == new else "neither")
    assert found == ["old", "old", "old", "new", "new", "new"]

    publish(runs, out, PLAIN)
    assert file_hashes(out) == new
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "kept", "runs", "site"]


def test_what_a_dead_publish_left_is_swept_though_its_number_is_in_use(runs: Path, tmp_path: Path) -> None:
    """A number may be another process's by now; the lock tells."""
    left = tmp_path / f".site.{os.getppid()}.tmp"
    left.mkdir()
    os.utime(left, (0, 0))

    publish(runs, tmp_path / "site", PLAIN)

    assert not left.exists()


def test_another_publish_at_work_is_left_alone(runs: Path, tmp_path: Path) -> None:
    """It is known by its lock, even where its number says nothing, as from another container."""
    busy = tmp_path / ".site.999999999.tmp"
    busy.mkdir()
    os.utime(busy, (0, 0))
    file = os.open(busy, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_EX)

    publish(runs, tmp_path / "site", PLAIN)

    assert busy.exists()
    os.close(file)


def test_a_disk_that_cannot_exchange_folders_gets_its_site(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    publish(runs, out, PLAIN)
    (runs / "round_001_baseline" / "notes.md").write_text("## The Shot\n\nchanged\n")
    monkeypatch.setattr(site_folder, "exchange", lambda a, b: False)

    publish(runs, out, PLAIN)

    assert "changed" in (out / "holes" / "round_001_baseline.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "site"]


def test_a_folder_of_somebody_elses_is_not_replaced(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "precious"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(HarnessError, match="was not written by") as error:
        publish(runs, out, PLAIN)
    assert error.value.hint
    assert (list(file_hashes(out)), (out / "thesis.tex").read_text()) == (["thesis.tex"], "years of work")
    (tmp_path / "file").write_text("x")
    with pytest.raises(HarnessError, match="is a file"):
        publish(runs, tmp_path / "file", PLAIN)
    with pytest.raises(HarnessError, match="holds the runs"):
        publish(runs, tmp_path, PLAIN)


def test_an_empty_season_is_a_quiet_club(tmp_path: Path) -> None:
    report = publish(tmp_path / "no_runs", tmp_path / "site", PLAIN)
    assert report.holes == 0
    assert "The tees are quiet" in (tmp_path / "site" / "index.html").read_text()


def test_a_broken_record_is_named_and_passed_over(runs: Path, tmp_path: Path) -> None:
    broken = runs / "round_005_more_swings" / "attempt_01" / "record.json"
    broken.write_text('{"schema": 2, "hole":')
    (runs / "round_007_traveling_light" / "round.toml").write_text("title = ")
    report = publish(runs, tmp_path / "site", PLAIN)
    assert report.holes == 10
    assert len(report.problems) == 2
    page = (tmp_path / "site" / "holes" / "round_005_more_swings.html").read_text()
    assert "unreadable (Lost Card)" in page
    assert "is not JSON" in page


HOSTILE_NOTES = (
    """
## The Shot: <script>alert(1)</script>

<script>alert(2)</script> [press](javascript:alert(3)) [data](data:text/html,x)
<a href="#" onclick="x()">y</a>
![spy](https://tracker.example/pixel.png) [fine](https://example.org/) \u202edesrever\u202c

<style>body{display:none}</style><iframe src="https://evil.example"></iframe>

"""
    + "x" * 10_000
    + """

## The Booth Reacts

**<img src=x onerror=alert(4)>:** "quotes" & <b>more</b> 🏌️

## <svg onload=alert(5)>

body
"""
)


class TagReader(HTMLParser):
    """Every tag of a page with its attributes, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.tags}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))


def test_hostile_notes_and_titles_are_harmless(runs: Path, tmp_path: Path) -> None:
    title = '\\u202e<script>alert(6)</script>\\" onmouseover=x 🏌️ ' + "W" * 10_000
    hole = runs / "round_006_fp16embed"
    (hole / "round.toml").write_text(
        f'title = "{title}"\nhypothesis = "</p><script>alert(7)</script>"\n', encoding="utf-8"
    )
    (hole / "notes.md").write_text(HOSTILE_NOTES, encoding="utf-8")
    publish(runs, tmp_path / "site", PublishOptions(base_url="https://example.org"))
    for page in (tmp_path / "site").rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        reader = TagReader()
        reader.feed(html)
        assert not {"iframe", "img", "style", "object", "embed"} & reader.names, page.name
        for name, attributes in reader.tags:
            assert not [key for key in attributes if key.startswith("on") or key == "style"], page.name
            assert name != "script" or attributes["src"].endswith("assets/club.js")
            assert not re.match(r"(javascript|data|vbscript):", attributes.get("href", "") or "", re.I)
        assert "\u202e" not in html
    for feed in ("feed.xml", "sitemap.xml"):
        ET.parse(tmp_path / "site" / feed)


def test_what_a_log_said_leaves_feeds_and_pages_whole(runs: Path, tmp_path: Path) -> None:
    """A coloured traceback, a bell, bytes that no XML may hold, text that turns around."""
    said = "\x1b[31mRuntimeError\x1b[0m: \x07\x00 <b>&no \x9b1m\u202ereverse\uffff"
    attempt = runs / "round_006_fp16embed" / "attempt_01"
    record = json.loads((attempt / "record.json").read_text())
    failure = {"kind": "error", "message": said, "last_lines": [said]}
    record |= {"status": "failed", "failure": failure, "warnings": [said], "preset": said}
    (attempt / "record.json").write_text(json.dumps(record))

    publish(runs, tmp_path / "site", PublishOptions(base_url="https://example.org", pictures=False))

    allowed = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\uffff]")
    for page in (tmp_path / "site").rglob("*"):
        if page.suffix in (".html", ".xml", ".json", ".txt", ".csv"):
            assert not allowed.search(page.read_text(encoding="utf-8")), page.name
    ET.parse(tmp_path / "site" / "feed.xml")
    shown = json.loads((tmp_path / "site" / "holes" / "round_006_fp16embed.json").read_text())
    assert shown["failure"]["message"] == said
    page = (tmp_path / "site" / "holes" / "round_006_fp16embed.html").read_text()
    assert "RuntimeError: &lt;b&gt;&amp;no" in page or "RuntimeError:  &lt;b&gt;" in page


@pytest.mark.parametrize(
    "evil", ["$(touch OWNED)", "a;touch OWNED", "`touch OWNED`", "'; touch OWNED '", "x\ntouch OWNED"]
)
@pytest.mark.parametrize("where", ["preset", "override", "script"])
def test_the_command_on_a_page_runs_nothing_else(runs: Path, tmp_path: Path, evil: str, where: str) -> None:
    hole = runs / "round_006_fp16embed"
    record = json.loads((hole / "attempt_01" / "record.json").read_text())
    record["preset"] = evil if where == "preset" else None
    record["overrides"] = {"A": evil if where == "override" else "1"}
    (hole / "attempt_01" / "record.json").write_text(json.dumps(record))
    (hole / "round.toml").write_text(
        f"title = 'T'\nscript = {json.dumps(evil)}\n" if where == "script" else ""
    )

    publish(runs, tmp_path / "site", PublishOptions(pictures=False))

    page = (tmp_path / "site" / "holes" / "round_006_fp16embed.html").read_text()
    command = unescape(re.search(r'<pre class="command"[^>]*>([^<]*)</pre>', page)[1])
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "harness").write_text("#!/bin/sh\n")
    (bin_ / "harness").chmod(0o755)
    subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}"},
        check=True,
    )
    assert not (tmp_path / "OWNED").exists()


def test_a_theme_wins_file_by_file(runs: Path, tmp_path: Path) -> None:
    theme = tmp_path / "theme"
    for folder in ("templates", "assets", "copy"):
        (theme / folder).mkdir(parents=True)
    (theme / "templates" / "404.html").write_text("{{ club.club.name }} says no")
    (theme / "assets" / "club.css").write_text("body { color: red }")
    (theme / "copy" / "club.toml").write_text('[club]\nname = "Muni Links"\n')
    publish(runs, tmp_path / "site", PublishOptions(theme=theme, pictures=False))
    assert (tmp_path / "site" / "404.html").read_text() == "Muni Links says no"
    assert (tmp_path / "site" / "assets" / "club.css").read_text() == "body { color: red }"
    assert "Muni Links" in (tmp_path / "site" / "index.html").read_text()
    (theme / "templates" / "index.html").write_text("{{ nothing.here }}")
    before = file_hashes(tmp_path / "site")
    with pytest.raises(HarnessError, match=r"template index\.html failed"):
        publish(runs, tmp_path / "site", PublishOptions(theme=theme, pictures=False))
    assert file_hashes(tmp_path / "site") == before


def test_pictures_are_drawn_once(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(pages, "draw_picture", lambda picture: drawn.append(picture.title) or b"png")

    def run() -> PublishReport:
        drawn.clear()
        return publish(runs, tmp_path / "site", PublishOptions())

    run()
    assert len(drawn) == 8
    run()
    assert drawn == []
    (runs / "round_001_baseline" / "round.toml").write_text('title = "Renamed"\nstrategy = "reference"\n')
    run()
    assert drawn == ["Renamed"]


def test_preview_serves_loopback_only(site: Path, tmp_path: Path) -> None:
    with make_server(site, 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address[:2]
        assert host == "127.0.0.1"
        with urlopen(f"http://127.0.0.1:{port}/index.html") as answer:
            assert b"Gradient Descent Country Club" in answer.read()
        with pytest.raises(HTTPError):
            urlopen(f"http://127.0.0.1:{port}/../runs/field.toml")
        with pytest.raises(HarnessError, match="cannot listen"):
            make_server(site, int(port))
        server.shutdown()
    with pytest.raises(HarnessError, match="there is no site"):
        make_server(tmp_path, 0)


def test_neighbours_are_set_side_by_side(site: Path) -> None:
    page = (site / "compare" / "round_006_fp16embed.html").read_text()
    assert "Settings that differ" in page
    assert re.search(r"FP16_EMBED</th><td>not set</td><td>true</td>", page)
    assert "within noise" in page
    assert "+0.0002" in page
    assert not (site / "compare" / "round_001_baseline.html").exists()
    assert (
        'href="../compare/round_006_fp16embed.html"'
        in (site / "holes" / "round_006_fp16embed.html").read_text()
    )


def test_wrong_options_are_refused_in_words(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="is not an address"):
        publish(runs, tmp_path / "site", PublishOptions(base_url="example.org"))
    with pytest.raises(HarnessError, match="there is no theme"):
        publish(runs, tmp_path / "site", PublishOptions(theme=tmp_path / "nowhere"))
    (tmp_path / "theme" / "copy").mkdir(parents=True)
    (tmp_path / "theme" / "copy" / "glossary.toml").write_text('[[term]]\nid = "bpb"\n')
    with pytest.raises(HarnessError, match="term 1 lacks"):
        publish(runs, tmp_path / "site", PublishOptions(theme=tmp_path / "theme"))
    assert not (tmp_path / "site").exists()


def test_unreadable_notes_do_not_stop_the_press(runs: Path, tmp_path: Path) -> None:
    notes = runs / "round_006_fp16embed" / "notes.md"
    notes.unlink()
    notes.mkdir()

    publish(runs, tmp_path / "site", PLAIN)

    page = (tmp_path / "site" / "holes" / "round_006_fp16embed.html").read_text()
    assert re.search("notes.md[^<]*folder", page)


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    """Python salts the hashes of strings in each process; no choice of words or order may follow them."""
    sites = []
    for salt in ("1", "2"):
        out = tmp_path / salt
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "harness",
                "publish",
                "--runs",
                str(SEASON),
                "--out",
                str(out),
                "--no-pictures",
            ],
            env=os.environ | {"PYTHONHASHSEED": salt, "HARNESS_CACHE": str(tmp_path / f"cache_{salt}")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        sites.append(file_hashes(out))

    assert sites[0] == sites[1]
