"""Ledgers that people and agents keep of their experiments: a row an attempt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.field.importing import ImportResult, import_paths
from harness.field.ledger import read_ledger, read_number
from harness.records.intent import load_decisions, load_intent
from harness.records.store import Store

TSV = (
    "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
    "0a1b2c3\t1.412000\t12.5\tkeep\tbaseline\n"
    '1b2c3d4\t1.409500\t12.5\tdiscard\tdepth 8 -> 10, "deep\n'
    "2c3d4e5\t0.000000\t0.0\tcrash\tdouble width (CUDA out of memory)\n"
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def bundles(path: Path, runs: Path) -> list[ImportResult]:
    return import_paths([path], runs).bundles


def test_rows_are_attempts_with_what_was_decided(tmp_path, runs):
    report = bundles(write(tmp_path, "results.tsv", TSV), runs)

    records = [record for bundle in report for record in bundle.records]
    assert [(r.status, r.val_bpb) for r in records] == [("ok", 1.412), ("ok", 1.4095), ("failed", None)]
    assert records[2].failure.kind == "out_of_memory"
    assert records[0].code.git_sha == "0a1b2c3"
    assert records[0].provenance.lines == {"row": 2}
    assert records[1].provenance.row["status"] == "discard"
    holes = Store(runs).holes()
    assert load_intent(holes[0].intent_path).title == "baseline"
    decisions = [load_decisions(hole.decision_path).newest for hole in holes]
    assert [decision and decision.decision for decision in decisions] == ["keep", "drop", None]
    assert "depth 8 -> 10" in decisions[1].reason


def test_of_a_longer_ledger_only_the_new_rows_are_imported(tmp_path, runs):
    ledger = write(tmp_path, "results.tsv", TSV)
    import_paths([ledger], runs)
    ledger.write_text(TSV + "3d4e5f6\t1.400000\t12.5\tkeep\tlower learning rate\n")

    assert [bundle.state for bundle in bundles(ledger, runs)] == ["unchanged"] * 3 + ["new"]


def test_rows_that_cannot_be_read_are_named_with_their_line(tmp_path, runs):
    text = (
        TSV
        + "3d4e5f6\tTODO\t\t\tto be run\n4e5f6a7\t-1\t\tkeep\tx\n0a1b2c3\t1.412000\t12.5\tkeep\tbaseline\n"
    )
    report = bundles(write(tmp_path, "results.tsv", text), runs)

    warnings = " ".join(warning for bundle in report for warning in bundle.warnings)
    assert "results.tsv line 5: no score (val_bpb 'TODO')" in warnings
    assert "results.tsv line 6: no score (val_bpb '-1')" in warnings
    assert "results.tsv line 7 is line 2 again" in warnings
    assert sum(len(bundle.records) for bundle in report) == 3


def test_seeds_of_one_try_are_attempts_of_one_hole(tmp_path, runs):
    rows = [
        {
            "run_id": f"{row}_seed{seed}",
            "seed": seed,
            "bpb": 1.3 + seed / 1000,
            "config": {"LR": lr},
            "artifact_bytes": 12_000_000,
            "train_s": 600.1,
            "world_size": 8,
        }
        for row, lr in (("b0", "0.1"), ("a1", "0.2"))
        for seed in (7, 8)
    ]
    report = bundles(write(tmp_path, "runs.jsonl", "\n".join(map(json.dumps, rows)) + "\n{torn"), runs)

    assert sorted((b.name, [r.seed for r in b.records]) for b in report if b.records) == [
        ("a1", [7, 8]),
        ("b0", [7, 8]),
    ]
    record = report[0].records[0]
    assert (record.artifact_bytes, record.train_seconds, record.environment.world_size) == (
        12_000_000,
        600.1,
        8,
    )
    assert record.config == {"LR": "0.1"}
    assert "runs.jsonl line 5 is no row" in " ".join(w for b in report for w in b.warnings)


@pytest.mark.parametrize(
    ("header", "row", "column", "bpb"),
    [
        ("name,val_bpb,int8_bpb,int6_bpb", "a,1.48,1.70,1.63", "int6_bpb", 1.63),
        ("name,fp32_bpb,int6_bpb", "a,1.3987,1.4157", "int6_bpb", 1.4157),
        ("name,val_bpb,pre_quant_bpb,bpb_delta", "a,2.52,2.51,-0.3", "val_bpb", 2.52),
        ("id,bpb,bpb_sliding", "e1,1.3541,1.3204", "bpb_sliding", 1.3204),
        (
            "run_id,fp_val_bpb_final,q_val_bpb_final,val_bpb_gap",
            "a,1.483,1.484,0.001",
            "q_val_bpb_final",
            1.484,
        ),
        ("name,last_val_bpb,roundtrip_exact_val_bpb", "a,1.2791,1.28079", "roundtrip_exact_val_bpb", 1.28079),
        ("name,best_val_bpb,baseline_bpb,val_bpb", "a,1.1,1.2,1.3", "val_bpb", 1.3),
    ],
)
def test_the_column_of_the_artifact_is_the_score(tmp_path, runs, header, row, column, bpb):
    [bundle] = bundles(write(tmp_path, "runs.csv", f"{header}\n{row}\n"), runs)

    assert (bundle.records[0].official.label, bundle.records[0].val_bpb) == (column, bpb)


def test_a_table_of_a_spreadsheet_has_semicolons_and_decimal_commas(tmp_path, runs):
    text = "name;val_bpb;artifact_bytes;notes\na;1,2512;15,000,123;wider, deeper\n"

    [bundle] = bundles(write(tmp_path, "runs.csv", text), runs)

    assert (bundle.records[0].val_bpb, bundle.records[0].artifact_bytes) == (1.2512, 15_000_123)


@pytest.mark.parametrize(
    ("status", "score", "kind"),
    [
        ("reverted_triton_oom", "FAILED", "out_of_memory"),
        ("crash", "0.0", "no_result"),
        ("ok", "nan", "nan"),
        ("llm_error", "N/A", "error"),
    ],
)
def test_a_failed_row_says_how(tmp_path, runs, status, score, kind):
    text = f"name\tval_bpb\tstatus\tdescription\nx\t{score}\t{status}\tTypeError: bad words\n"
    text = text if kind == "error" else text.replace("TypeError: bad words", "wider")

    [bundle] = bundles(write(tmp_path, "r.tsv", text), runs)

    assert bundle.records[0].failure.kind == kind


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("curve.csv", "name,step,val_bpb\na,1,2.0\n"),
        ("table.csv", "name,rmse\na,1\n"),
        ("rows.jsonl", '{"text": "a"}\n'),
        ("empty.tsv", ""),
    ],
)
def test_other_tables_are_no_ledgers(tmp_path, name, text):
    with pytest.raises(HarnessError, match="no ledger"):
        read_ledger(write(tmp_path, name, text))


def test_a_ledger_and_logs_of_one_folder_are_both_imported(tmp_path, harness):
    write(tmp_path, "results.tsv", TSV)
    write(tmp_path, "data.csv", "a,b\n1,2\n")

    done = harness("import", str(tmp_path), "--json")

    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["bundles"]) == 3
    assert harness("ls").returncode == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("15,992,001 bytes", 15992001),
        ("1000/2000", 1000),
        ("12.5 GB", 12.5),
        ("~1.2", 1.2),
        ("1.2.3", None),
        ("TBD", None),
        ("", None),
        ("9" * 400, 1e40),
    ],
)
def test_numbers_as_people_write_them(text, number):
    assert read_number(text) == pytest.approx(number) if number else read_number(text) is None
