"""How fast `harness publish` builds a season, beside a plain Jinja2 script over the same data and Hugo, if
installed.

    python -m benchmarks.publish [--holes 1000] [--points 1000] [--rounds 3]

Each in a fresh process, in turn, with byte code cached as an installation has it; without social pictures,
which are cached by what they show. Printed: the median and best seconds, the ratio to the plain script, the
seconds of processor time of all processes (which other work on the machine stretches less), the peak memory
of the largest. The aims, on two cores: 1,000 holes in 2.0 s and 100 MiB, 5,000 in 9 s and 150 MiB; nothing
changed 0.5 s, one hole changed 0.6 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.season import write_season

ROOT = Path(__file__).resolve().parent.parent

# One page a hole: its numbers and its curve, every tenth point; and an index. No comparison, no copy, no CSV.
PLAIN = '''
import json, pathlib, sys
from jinja2 import Environment
page = Environment(autoescape=True, trim_blocks=True).from_string("""<!doctype html><html><head>
<title>{{ r.hole }}</title></head><body><h1>{{ r.hole }}</h1><p>{{ r.status }} {{ r.val_bpb }}</p><svg
viewBox="0 0 1000 500"><path d="{{ path }}"/></svg><table>{% for name, value in r.config.items() %}<tr><th>
{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}</table><table>{% for row in rows %}<tr>
{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table></body></html>""")
index = Environment(autoescape=True).from_string(
    "<ul>{% for r in records %}<li><a href='{{ r.hole }}.html'>{{ r.hole }}</a> {{ r.val_bpb }}</li>"
    "{% endfor %}</ul>")
runs, out = map(pathlib.Path, sys.argv[1:])
out.mkdir(parents=True)
records = []
for hole in sorted(runs.glob("round_*")):
    attempt = sorted(hole.glob("attempt_*"))[-1]
    if not (attempt / "record.json").is_file():
        continue
    record = json.loads((attempt / "record.json").read_text())
    points = [json.loads(line) for line in (attempt / "curve.jsonl").read_text().splitlines()]
    train = [(p["step"], p["train_loss"]) for p in points if "train_loss" in p]
    path = "M" + " ".join(f"{x / train[-1][0] * 1000:.0f} {500 - 60 * y:.0f}" for x, y in train[::10])
    (out / f"{record['hole']}.html").write_text(page.render(r=record, path=path, rows=train[::100]))
    records.append(record)
(out / "index.html").write_text(index.render(records=records))
'''


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--holes", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.rounds)
        write_season(bench.runs, args.holes, 1, args.points)
        time.sleep(3.1)  # files that changed a moment ago are not believed to stay
        print(f"{args.holes} holes, curves of {args.points} points; {os.cpu_count()} cores")
        bench.measure()


class Bench:
    """Ways to build one season, each with what must be done before it is timed."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder, self.rounds = folder, rounds
        self.runs, self.site = folder / "runs", folder / "site"
        publish = [sys.executable, "-m", "harness", "publish", "--no-pictures", "--runs", str(self.runs)]
        publish += ["--out", str(self.site)]
        self.ways: dict[str, tuple[list[str], Callable[[], object]]] = {
            "plain Jinja2": (
                [sys.executable, "-c", PLAIN, str(self.runs), str(folder / "plain")],
                self._empty,
            ),
            "empty folder": (publish, self._empty),
            "nothing changed": (publish, lambda: None),
            "one hole changed": (publish, self._edit),
        }
        if shutil.which("hugo"):
            self._write_hugo()
            self.ways["Hugo"] = (["hugo", "--quiet", "--source", str(folder / "hugo")], self._empty)

    def measure(self) -> None:
        times: dict[str, list[float]] = {name: [] for name in self.ways}
        cpu: dict[str, list[float]] = {name: [] for name in self.ways}
        peaks: dict[str, int] = dict.fromkeys(self.ways, 0)
        for number in range(self.rounds + 1):
            for name, (command, prepare) in self.ways.items():
                prepare()
                took, used, peak = timed(command, self.folder)
                if number:  # the first one warms the disk and the byte code
                    times[name].append(took)
                    cpu[name].append(used)
                    peaks[name] = max(peaks[name], peak)
        floor = statistics.median(times["plain Jinja2"])
        for name, values in times.items():
            median = statistics.median(values)
            print(
                f"{name:17} {median:6.2f} s   best {min(values):5.2f}   ratio {median / floor:5.2f}   "
                f"processor {min(cpu[name]):5.2f} s   {peaks[name]:4} MiB"
            )

    def _empty(self) -> None:
        """An empty folder, and nothing known of an earlier build."""
        for name in ("site", "plain", "cache", "hugo/public"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _edit(self) -> None:
        """Another score for a hole in the middle of the season."""
        path = sorted(self.runs.glob("*/attempt_01/record.json"))[len(list(self.runs.iterdir())) // 2]
        record = json.loads(path.read_text())
        record["steps"] = (record["steps"] or 0) + 1
        path.write_text(json.dumps(record, indent=2) + "\n")

    def _write_hugo(self) -> None:
        """The same numbers and curves as a Hugo site: front matter, one layout."""
        site = self.folder / "hugo"
        (site / "layouts" / "_default").mkdir(parents=True)
        (site / "content" / "holes").mkdir(parents=True)
        (site / "hugo.toml").write_text(
            'baseURL = "/"\ndisableKinds = ["taxonomy", "term", "RSS", "sitemap"]\n'
        )
        (site / "layouts" / "_default" / "single.html").write_text(
            "<h1>{{ .Title }}</h1><p>{{ .Params.val_bpb }}</p><svg><path d='{{ .Params.path }}'/></svg>"
            "<table>{{ range $k, $v := .Params.config }}<tr><th>{{ $k }}</th><td>{{ $v }}</td></tr>{{ end }}"
            "</table>"
        )
        (site / "layouts" / "_default" / "list.html").write_text(
            "<ul>{{ range .Pages }}<li><a href='{{ .RelPermalink }}'>{{ .Title }}</a></li>{{ end }}</ul>"
        )
        for path in self.runs.glob("*/attempt_01/record.json"):
            record = json.loads(path.read_text())
            points = [json.loads(line) for line in (path.parent / "curve.jsonl").read_text().splitlines()]
            line = " ".join(f"{p['step']} {p['train_loss']:.3f}" for p in points[::10] if "train_loss" in p)
            front = {
                "title": record["hole"],
                "val_bpb": record.get("val_bpb"),
                "config": record["config"],
                "path": line,
            }
            (site / "content" / "holes" / f"{record['hole']}.md").write_text(json.dumps(front) + "\n")


def timed(command: list[str], folder: Path) -> tuple[float, float, int]:
    """Return seconds, processor seconds and the peak MiB of the largest process, measured by a process of
    its own."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = inherited | {
        "HARNESS_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "pyc"),
    }
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        began = time.perf_counter()
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=environment)
        took = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = [took, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, done.returncode]
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    took, seconds, peak, code = json.loads(os.read(reading, 1000))
    os.close(reading)
    os.close(writing)
    if code:
        raise SystemExit(f"{' '.join(command)[:200]} ended with {code}")
    return took, seconds, peak


if __name__ == "__main__":
    main()
