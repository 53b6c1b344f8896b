"""One board for published records and our own holes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from harness.field.importing import import_paths
from harness.publish.build import PublishOptions, publish
from tests.paths import DATA

SEASON = DATA / "season"


def rows_of(page: str, start: str) -> list[list[str]]:
    """The cells of the first table after a heading, as a reader sees them."""
    table = page[page.index(f'id="{start}"') :]
    table = table[: table.index("</table>")]
    return [
        [
            " ".join(re.sub(r"<[^>]+>", " ", cell).split())
            for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.S)
        ]
        for row in re.findall(r"<tr.*?</tr>", table, re.S)
    ]


def board(tmp_path: Path) -> str:
    publish(tmp_path / "runs", tmp_path / "site", PublishOptions(pictures=False))
    return (tmp_path / "site" / "field-fineweb.html").read_text()


def test_several_seeds_show_their_spread_and_a_p_value(tmp_path: Path) -> None:
    """Three seeds against three: 1.3986, 1.3991, 1.3979 and the same less 0.002."""
    first = Path(shutil.copytree(SEASON / "round_007_traveling_light", tmp_path / "runs" / "round_007_light"))
    second = Path(shutil.copytree(first, tmp_path / "runs" / "round_008_lighter"))
    for path in second.rglob("curve.jsonl"):
        path.unlink()  # two trainings, as far as anybody knows
    for path in second.rglob("record.json"):
        record = json.loads(path.read_text()) | {"hole": second.name, "scores": [], "official": None}
        record["val_bpb"] = round(record["val_bpb"] - 0.002, 4)
        path.write_text(json.dumps({key: value for key, value in record.items() if value is not None}))
    own = [row for row in rows_of(board(tmp_path), "board") if "ours" in row[1]]
    assert [row[3] for row in own] == ["1.3965", "1.3985"]
    assert own[0][4] == "3 ± 0.0006"
    assert 0.01 < float(own[0][5]) < 0.02  # Welch: t = 4.06 over 4 degrees of freedom
    assert own[1][5] == "—"  # nobody stands below it


def test_a_single_run_claims_no_p_value(tmp_path: Path) -> None:
    shutil.copytree(SEASON, tmp_path / "runs")
    page = board(tmp_path)
    rows = {row[1]: row for row in rows_of(page, "board")}
    baseline = next(row for name, row in rows.items() if name.startswith("The Naive Baseline"))
    assert baseline[2:6] == ["E", "1.2244", "1", "—"]
    ranks = [row[0] for row in rows_of(page, "board")[1:]]
    assert ranks[0] == "1"
    assert any(rank.startswith("T") for rank in ranks)  # the published baseline and ours share a place
    cut = rows_of(page, "cut")
    assert any(row[0] == "The Wide Fairway" and "20.11 MB" in row[2] for row in cut)
    assert any(row[0] == "Hot Hands" and "nan" in row[3] for row in cut)


def test_the_record_falls_row_by_row(tmp_path: Path) -> None:
    shutil.copytree(SEASON / "round_001_baseline", tmp_path / "runs" / "round_001_baseline")
    steps = rows_of(board(tmp_path), "steps")[1:]
    scores = [float(row[2]) for row in steps]
    assert scores == sorted(scores, reverse=True)
    assert [row[0] for row in steps] == sorted(row[0] for row in steps)
    assert float(steps[1][3]) == round(scores[1] - scores[0], 4)


def test_logs_that_repeat_a_seed_or_mix_versions_show_no_spread_and_no_p(tmp_path: Path) -> None:
    folders = [
        "2026-03-17_LoRA_TTT",  # one seed, four versions of the script
        "2026-03-19_SlidingWindow_FP16Emb_10L_MuonWD_OvertoneInit",  # three seeds, one version
        "2026-03-19_TrainingOptSeq4096",  # three seeds, two versions
        "2026-03-18_LongContextSeq2048",
    ]
    import_paths([DATA / "field" / "records" / folder for folder in folders], tmp_path / "runs")
    page = board(tmp_path)

    seeds = {row[1].split(" by ")[0]: row[4:6] for row in rows_of(page, "board") if "from its logs" in row[1]}
    assert seeds == {
        "LoRA TTT": ["1 seed in 4 logs of 4 versions", "—"],
        "Sliding Window + FP16 Embed + 10L + Muon WD + Overtone Init": ["3 ± 0.0007", "—"],
        "Training Opt Seq4096 v1": ["3 seeds in 3 logs of 2 versions", "—"],
        "Long Context Seq2048 v2": ["3 ± 0.0007", "—"],
    }


def test_record_of_a_day_falls_in_the_order_of_pull_requests(tmp_path: Path) -> None:
    """Two records of 2026-04-09: PR 1493, then PR 1514. The baseline opens the table."""
    shutil.copytree(SEASON / "round_001_baseline", tmp_path / "runs" / "round_001_baseline")

    steps = rows_of(board(tmp_path), "steps")[1:]

    assert steps[0][1:3] == ["Naive Baseline", "1.2244"]
    assert [row[2] for row in steps if row[0] == "2026-04-09"] == ["1.0810", "1.0798"]


def test_four_hours_on_one_seed_are_no_record_on_any_page(tmp_path: Path) -> None:
    source = SEASON / "round_001_baseline"
    hole = Path(shutil.copytree(source, tmp_path / "runs" / "round_002_patience"))
    path = next(hole.rglob("record.json"))
    record = json.loads(path.read_text()) | {"hole": hole.name, "val_bpb": 1.04, "train_seconds": 14_400.0}
    path.write_text(json.dumps(record | {"scores": [], "official": None, "as_of": None}))

    rows = rows_of(board(tmp_path), "board")
    card = (tmp_path / "site" / "holes" / f"{hole.name}.html").read_text()

    [own] = [row for row in rows if "ours" in row[1]]
    assert own[0] == "1"
    assert "No record: one seed shows no spread; training took 14,400 s, 600 s are allowed" in own[1]
    assert not any("leader" in row[1] for row in rows)
    assert "Course Record" not in card
    assert "All legal" not in card


def test_our_rows_tell_noise_failed_seeds_and_equal_weights(
    runs: Path, put_record: Callable[..., Path], tmp_path: Path
) -> None:
    failure = {"status": "failed", "failure": {"kind": "nan", "message": "the loss is nan"}}
    trained = {"round_001_base": 2.1, "round_002_packed": 2.102, "round_003_else": 2.115}
    for hole, score in trained.items():
        for seed in (1, 2, 3):
            weights = 2.0 + seed / 1000 + (0.01 if hole == "round_003_else" else 0.0)
            scores = [{"stage": "pre_quantization", "label": "final", "val_bpb": weights}]
            path = put_record(
                hole, seed, course="practice", seed=seed, val_bpb=score + seed / 1000, scores=scores
            )
            steps = [{"step": step, "train_loss": weights + step, "train_time_ms": step} for step in (1, 2)]
            path.with_name("curve.jsonl").write_text("".join(json.dumps(line) + "\n" for line in steps))
    put_record("round_003_else", 4, course="practice", seed=4, **failure)
    put_record("round_004_near", course="practice", seed=9, val_bpb=2.106)

    publish(runs, tmp_path / "site", PublishOptions(pictures=False))
    page = (tmp_path / "site" / "field-practice.html").read_text()
    base, packed, near, other = (row[2:6] for row in rows_of(page, "board")[1:])

    assert base == ["E", "2.1020", "3 ± 0.0010", "—"]  # the row below is the same weights: no luck, no p
    assert packed[:3] == ["+0.0020", "2.1040", "3 ± 0.0010"]
    assert near == ["~+0.0040", "2.1060", "1", "—"]
    assert other[:3] == ["+0.0150", "2.1170", "3 of 4 ± 0.0010"]
