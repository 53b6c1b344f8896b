"""Import of real public records, export of ours, and both ways round."""

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.courses.course import check_bytes, load_course
from harness.errors import HarnessError, UsageError
from harness.field.entries import FieldStore
from harness.field.imported_logs import ImportedLogs
from harness.field.importing import field_slug, import_paths
from harness.field.leaderboard import refresh_leaderboard
from harness.records.record import RunRecord, dump_record
from harness.season.season import load_season
from harness.submit.export import export_hole
from tests.compare_bytes import assert_same, file_hashes
from tests.paths import DATA

FIELD = DATA / "field"
RECORDS = FIELD / "records"
EXPECTED = json.loads((FIELD / "expected.json").read_text())["records"]
BASELINE = RECORDS / "2026-03-17_NaiveBaseline"


def test_whole_field_is_imported_once(runs):
    first = import_paths([RECORDS], runs)
    before = file_hashes(runs)
    second = import_paths([RECORDS], runs)

    assert first.added == len(EXPECTED)
    assert second.added == 0
    assert {bundle.state for bundle in second.bundles} == {"unchanged"}
    assert file_hashes(runs) == before


def test_records_say_what_the_logs_say(runs):
    import_paths([RECORDS], runs)
    stored = {entry.entry.source: entry for entry in FieldStore(runs).entries()}

    for name, expected in EXPECTED.items():
        by_log = {Path(record.provenance.source).name: record for record in stored[name].records}
        for log, facts in expected["logs"].items():
            if facts["duplicate_of"] or facts["status"] == "not_a_run":
                continue
            record = by_log[Path(log).name]
            assert record.val_bpb == facts["final_val_bpb"]
            assert (record.steps, record.seed, record.params) == (
                facts["steps"],
                facts["seed"],
                facts["params"],
            )
            assert record.artifact_bytes == facts["bytes_total"]
            attempt = stored[name].path / f"attempt_{record.attempt:02d}"
            points = [json.loads(line) for line in (attempt / "curve.jsonl").read_text().splitlines()]
            assert sum("train_loss" in point for point in points) == facts["n_train_points"]
            assert_same((attempt / "train.log").read_bytes(), (RECORDS / name / log).read_bytes())
            if record.official:
                line = next(
                    s.line
                    for s in record.scores
                    if s.label == record.official.label and s.val_bpb == record.val_bpb
                )
                text = (RECORDS / name / log).read_text(encoding="utf-8").splitlines()[line - 1]
                assert str(facts["final_label"]) in text


def test_dry_run_reports_and_writes_nothing(runs):
    report = import_paths([BASELINE], runs, dry_run=True)

    assert report.bundles[0].records[0].val_bpb == 1.2243657
    assert list(runs.iterdir()) == []


def test_bare_log_becomes_a_hole_of_ours_and_only_once(runs):
    log = BASELINE / "train.log"

    first = import_paths([log], runs)
    second = import_paths([log], runs)

    assert (first.bundles[0].state, second.bundles[0].state) == ("new", "unchanged")
    season = load_season(runs)
    assert [hole.status for hole in season.holes] == ["ok"]
    assert season.holes[0].sample.mean == 1.2243657
    assert season.problems == ()


def test_new_log_of_a_known_record_extends_it(runs, tmp_path):
    folder = tmp_path / "rec"
    source = RECORDS / "2026-03-18_LongContextSeq2048"
    shutil.copytree(source, folder)
    late = folder / "train_seed1339.log"
    content = late.read_bytes()
    late.chmod(0o644)
    late.unlink()
    import_paths([folder], runs)
    late.write_bytes(content)

    report = import_paths([folder], runs)

    assert report.bundles[0].state == "extended"
    assert len(FieldStore(runs).load(field_slug("rec")).records) == 3


def test_contradictions_are_shown_with_both_values(runs):
    report = import_paths([RECORDS / "2026-03-19_MLP3x_QAT_Int6_SlidingWindow"], runs)

    warnings = " ".join(report.bundles[0].warnings)
    assert "1.1501" in warnings
    assert "1.1666" in warnings
    assert FieldStore(runs).entries()[0].val_bpb == pytest.approx(1.16660881)


def test_over_cap_is_flagged_and_kept(runs):
    report = import_paths([RECORDS / "2026-04-06_SP8192_HessianSDClip_ProgressiveRecurrence"], runs)

    assert {record.status for record in report.bundles[0].records} == {"over_cap"}
    assert len(report.bundles[0].records) == 3


@pytest.mark.parametrize(
    ("tokens", "loss", "bpb", "kind"),
    [
        (62021632, 2.07269931, 1.2275, "verified"),
        (63779840, 2.07269931, 1.2243657, "older split"),
        (40540160, 2.79, 1.0801, "verified"),
        (62021632, 2.07269931, 1.15, "suspect"),
        (None, 2.07, 1.22, "unchecked"),
        (62021632, None, 1.22, "unchecked"),
    ],
)
def test_bytes_behind_a_score_tell_its_split(tokens, loss, bpb, kind):
    assert check_bytes(load_course("fineweb"), tokens, loss, bpb).kind == kind


def test_path_that_holds_nothing_is_refused(runs, tmp_path):
    with pytest.raises(UsageError, match="no log"):
        import_paths([tmp_path], runs)
    with pytest.raises(UsageError, match="there is no"):
        import_paths([tmp_path / "nothing"], runs)


def test_log_without_a_run_is_skipped_with_the_reason(runs, tmp_path):
    (tmp_path / "noise.log").write_text("hello\nworld\n")

    report = import_paths([tmp_path / "noise.log"], runs)

    assert report.bundles[0].state == "skipped"
    assert "holds no run" in report.bundles[0].warnings[0]
    assert list(runs.iterdir()) == []


def test_standard_input_is_read(harness, tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    text = (BASELINE / "train.log").read_text()
    done = harness("import", "-", "--json", "--log", "reference", input=text, env={"TMPDIR": str(spool)})

    assert done.returncode == 0, done.stderr
    assert list(spool.iterdir()) == []
    assert_same(next((tmp_path / "runs").rglob("train.log")).read_text(), text)
    assert json.loads(done.stdout)["bundles"][0]["records"][0]["val_bpb"] == 1.2243657
    assert harness("ls").returncode == 0


@pytest.mark.parametrize(
    "name", ["../../etc", "..", ".hidden", "a b", "x" * 500, "", "ünïcode", "a/b", "-rf"]
)
def test_entry_folders_cannot_leave_the_field(name):
    slug = field_slug(name)

    assert "/" not in slug
    assert slug[0].isalnum()
    assert len(slug) <= 110


def test_leaderboard_is_refreshed_from_a_readme(runs, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(
        "# Challenge\n\n| Run | Score | Author | Summary | Date | Info |\n|-----|------:|---|---|---|---|\n"
        "| **New Best** | 1.0500 | someone | words | 2026-05-10 | "
        "[info](https://github.com/o/r/pull/2000) |\n"
        "| Old | 1.2244 | base | words | 2026-03-18 | "
        "[info](records/track_10min_16mb/2026-03-17_NaiveBaseline/README.md) |\n\n"
        "## Non-record runs\n\n| Run | Score | Author | Date |\n|--|--|--|--|\n"
        "| Wild | 0.9 | x | 2026-05-01 |\n"
    )

    rows = refresh_leaderboard(readme, runs)

    assert [row.val_bpb for row in rows] == [1.05, 1.2244, 0.9]
    course = load_course("fineweb", runs)
    assert course.sota(date(2026, 5, 9)).name == "Old"
    assert course.sota(date(2026, 6, 1)).name == "New Best"
    assert load_course("fineweb").sota(date(2026, 6, 1)).val_bpb == 1.0611


@pytest.mark.parametrize(
    "table",
    [
        "no table",
        "| a | b |\n|--|--|\n| 1 | 2 |",
        "| Run | Score | Date |\n|--|--|--|\n| x | fast | 2026-01-01 |",
    ],
)
def test_readme_without_a_leaderboard_is_refused(table, runs, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(table)

    with pytest.raises(HarnessError, match=r"README\.md"):
        refresh_leaderboard(readme, runs)


# Export -------------------------------------------------------------------------------------------

losses = st.floats(min_value=1e-3, max_value=30, allow_nan=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    bpb=st.floats(min_value=0.5, max_value=5),
    before=st.floats(min_value=0.1, max_value=0.49),
    loss=losses,
    params=st.integers(1, 10**9),
    steps=st.integers(10, 10**6),
    code=st.integers(1, 10**5),
    model=st.integers(1, 10**7),
    seed=st.integers(0, 2**31),
    train_ms=st.integers(1, 10**8),
    curve=st.lists(losses, min_size=1, max_size=5),
)
def test_exported_record_reads_back_as_itself(
    tmp_path_factory, bpb, before, loss, params, steps, code, model, seed, train_ms, curve
):
    runs = tmp_path_factory.mktemp("runs")
    folder = runs / "round_001" / "attempt_01"
    folder.mkdir(parents=True)
    scores = [
        {
            "stage": "pre_quantization",
            "label": "DIAGNOSTIC pre_quantization",
            "val_bpb": before,
            "val_loss": loss,
        },
        {"stage": "round_trip", "label": "final_int8_zlib_roundtrip_exact", "val_bpb": bpb, "val_loss": loss},
    ]
    record = RunRecord.model_validate(
        {
            "hole": "round_001",
            "course": "fineweb",
            "status": "ok",
            "val_bpb": bpb,
            "val_loss": loss,
            "scores": scores,
            "official": {"stage": "round_trip", "label": "final_int8_zlib_roundtrip_exact", "why": "w"},
            "artifact_bytes": code + model,
            "code_bytes": code,
            "model_bytes": model,
            "params": params,
            "seed": seed,
            "steps": steps,
            "planned_steps": steps,
            "train_seconds": train_ms / 1000,
            "step_ms": train_ms / steps,
        }
    )
    (folder / "record.json").write_text(dump_record(record))
    points = [
        {"step": index + 1, "train_loss": value, "train_time_ms": float(index + 1)}
        for index, value in enumerate(curve[:-1])
    ]
    points.append({"step": steps, "train_loss": curve[-1], "train_time_ms": float(train_ms)})
    points = sorted({point["step"]: point for point in points}.values(), key=lambda point: point["step"])
    (folder / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))

    out = runs / "out"
    export_hole(load_season(runs).holes[0], out, author="me")
    read = import_paths([out], runs / "back").bundles[0].records[0]

    content = (
        "val_bpb",
        "val_loss",
        "artifact_bytes",
        "code_bytes",
        "model_bytes",
        "params",
        "seed",
        "steps",
        "planned_steps",
        "train_seconds",
        "status",
    )
    assert {name: getattr(read, name) for name in content} == {
        name: getattr(record, name) for name in content
    }
    assert read.step_ms == pytest.approx(record.step_ms, rel=1e-12)
    assert [(s.stage, s.label, s.val_bpb) for s in read.scores] == [
        (s.stage, s.label, s.val_bpb) for s in record.scores
    ]
    back = next((runs / "back").rglob("curve.jsonl")).read_text().splitlines()
    assert [json.loads(line)["train_loss"] for line in back] == [point["train_loss"] for point in points]


def test_export_refuses_a_folder_in_use_and_a_hole_without_score(runs, put_record, tmp_path, harness):
    put_record("round_001", val_bpb=1.3)
    put_record("round_002", status="failed", failure={"kind": "nan", "message": "m"})
    used = tmp_path / "used"
    used.mkdir()
    (used / "mine.txt").write_text("keep")

    assert "not empty" in harness("export", "1", "--out", str(used)).stderr
    assert "no complete attempt" in harness("export", "2", "--out", str(tmp_path / "new")).stderr
    assert (used / "mine.txt").read_text() == "keep"


def test_field_page_shows_imported_records_and_the_cut(runs, tmp_path, harness):
    import_paths(
        [
            RECORDS / "2026-04-06_SP8192_HessianSDClip_ProgressiveRecurrence",
            RECORDS / "2026-03-18_LongContextSeq2048",
        ],
        runs,
    )

    done = harness("publish", "--runs", str(runs), "--out", str(tmp_path / "site"), "--no-pictures")

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "field-fineweb.html").read_text()
    board, _, cut = page.partition('id="cut"')
    assert "3 ± 0.0007" in board
    assert "bytes verified" in board
    assert board.count("Long Context Seq2048") == 1
    assert "Not under the cap" in cut


def test_a_score_without_an_artifact_is_called_not_sure_wherever_it_is_shown(harness, tmp_path):
    log = DATA / "families" / "autoresearch.log"
    imported = harness("import", str(log))

    assert "not sure" in imported.stdout
    record = json.loads(
        (tmp_path / "runs" / "round_001_autoresearch" / "attempt_01" / "record.json").read_text()
    )
    assert record["official"]["doubt"].startswith("the log prints no artifact")
    assert "states at its end" in record["official"]["why"]
    assert "not sure: the log prints no artifact" in harness("show", "1").stdout


def test_a_hole_that_appears_between_two_looks_keeps_its_number(runs, put_record):
    """Another command made it after the highest number had been read, and before the records were."""
    imported = ImportedLogs(runs)
    put_record("round_001", val_bpb=1.3)
    assert imported.hole_of("no such log") is None  # reads the records

    imported.refresh()

    assert imported.last_number == 1
