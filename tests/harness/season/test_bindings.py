"""Numbers of notes, bound to the records: what they render, and when they are refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.records.notes import find_bindings
from harness.season.bindings import agrees, bind_notes, evaluate
from harness.season.season import load_season

BPB = {1337: 2.04008, 42: 2.04359, 7: 2.05289}


@pytest.fixture
def season(runs, put_record):
    """Hole 1 sets par over three seeds, hole 2 is its child; hole 3 scores another stage."""
    for attempt, (seed, value) in enumerate(BPB.items(), start=1):
        shared = {
            "course": "practice",
            "split": "a",
            "seed": seed,
            "started_at": f"2026-04-0{attempt}T10:00:00Z",
        }
        put_record("round_001_base", attempt, val_bpb=value + 0.03, artifact_bytes=650_000, **shared)
        put_record(
            "round_002_child",
            attempt,
            val_bpb=value,
            artifact_bytes=700_000 + attempt,
            model_bytes=500_000,
            code_bytes=200_000 + attempt,
            step_ms=95.54,
            train_seconds=66.9,
            overrides={"MATRIX_LR": "3.0"},
            data={"yardsticks": {"zlib-9": 2.1756}},
            scores=[
                {"stage": "pre_quantization", "label": "before", "val_bpb": value - 0.0004},
                {"stage": "round_trip", "label": "after", "val_bpb": value},
            ],
            official={"stage": "round_trip", "label": "after", "why": "the artifact"},
            **shared,
        )
    put_record(
        "round_003_other",
        course="practice",
        split="a",
        val_bpb=1.9,
        scores=[{"stage": "sliding_window", "label": "strides", "val_bpb": 1.9}],
        official={"stage": "sliding_window", "label": "strides", "why": "asked for"},
    )
    (runs / "round_002_child" / "round.toml").write_text('title = "Child"\nparent = "round_001_base"\n')
    return load_season(runs)


def render(season, inside, number=2):
    return evaluate(season, next(one for one in season.holes if one.name.number == number), inside)


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("val_bpb", "2.0455"),
        ("val_bpb:.2f", "2.05"),
        ("n", "3"),
        ("spread", "0.0066"),
        ("gap", "+0.0004"),
        ("pre_bpb", "2.0451"),
        ("delta.parent", "-0.0300"),
        ("delta.par", "-0.0300"),
        ("delta.hole:1", "-0.0300"),
        ("score.parent", "2.0755"),
        ("hole:1.val_bpb", "2.0755"),
        ("hole:round_001.artifact_bytes", "650,000"),
        ("attempt:2.val_bpb", "2.0436"),
        ("artifact_mb", "0.70 MB"),
        ("step_ms", "95.5 ms"),
        ("train_seconds", "67 s"),
        ("knob.MATRIX_LR = 3.0", "3.0"),
        ("yardstick.zlib-9:.2f", "2.18"),
        ("stage_bpb.pre_quantization", "2.0451"),
        ("hole:1.val_bpb - val_bpb", "+0.0300"),
        ("artifact_bytes over hole:1.artifact_bytes", "8%"),
        ("hole:1.artifact_bytes under artifact_bytes = 7.1 %", "7.1 %"),
        ("artifact_bytes - hole:1.artifact_bytes = 50,003 bytes", "50,003 bytes"),
        ("artifact_bytes / hole:1.artifact_bytes", "1.08"),
        ("val_bpb = 2.0455", "2.0455"),
        ("val_bpb=2.05", "2.05"),
        ("delta.parent = −0.030", "−0.030"),
        ("artifact_mb = 0.7 MB", "0.7 MB"),
        ("delta.hole:2:+.3f", "+0.000"),
        ("step_ms - hole:2.step_ms", "+0.0 ms"),
        ("pre_bpb - stage_bpb.pre_quantization:.4f", "0.0000"),
        ("pre_bpb - val_bpb:.2f", "0.00"),
        ("verdict", "No Par"),
        ("cited = 0.007", "0.007"),
    ],
)
def test_binding_renders_from_the_records(season, inside, text):
    if inside == "verdict":
        text = season.standing(season.holes[1]).verdict.name

    assert render(season, inside) == text


@pytest.mark.parametrize(
    ("inside", "reason", "hint"),
    [
        ("val_bpm", '"val_bpm" is not known; known are val_bpb, ', "did you mean val_bpb?"),
        ("val_bpb = 2.0456", "the records say 2.0455", "write {{ val_bpb = 2.0455 }}, or {{ val_bpb }}"),
        ("delta.parent = 0.0300", "the records say -0.0300", "write {{ delta.parent = -0.0300 }}"),
        ("artifact_mb = 0.7 ms", "the records say 0.70 MB", "write {{ artifact_mb = 0.70 MB }}"),
        ("val_bpb =", "nothing is typed behind the =", "the records say 2.0455"),
        (
            "delta",
            '"delta" is not known',
            "write delta.OF, with OF par, sota, best, previous, parent or hole:N",
        ),
        ("delta.parnet", '"delta.parnet" is not known', "write delta.OF"),
        ("val_bpb.par", '"val_bpb.par" is not known', "write val_bpb alone"),
        (
            "delta.sota",
            "has no delta against sota on record: nobody else has published",
            "harness notes values",
        ),
        ("eval_seconds", "has no eval_seconds on record", "`harness notes values round_002_child`"),
        ("hole:9.val_bpb", 'no hole matches "9"', "`harness ls`"),
        ("attempt:9.val_bpb", "has no record of attempt 9", "`harness show round_002_child`"),
        ("attempt:1.n", "n belongs to a whole hole", "leave out attempt:N."),
        ("val_bpb:wide", '"wide" is not a format', "use .4f"),
        ("val_bpb - hole:3.val_bpb", "not of one kind", "harness compare round_002_child round_003_other"),
        ("delta.hole:3", "different stages", "harness notes values"),
        ("the score", "is not a binding", "write {{ val_bpb }}"),
        (None, "the braces are not closed", "end it with }}"),
    ],
)
def test_binding_that_gives_no_text_says_why_and_what_to_type(season, inside, reason, hint):
    with pytest.raises(HarnessError) as caught:
        render(season, inside)

    assert reason in caught.value.message
    assert hint in caught.value.hint


@given(value=st.floats(-1e7, 1e7), places=st.integers(0, 9))
@example(value=2.0455, places=3)
def test_a_value_agrees_with_itself_at_any_digits_and_with_no_neighbour(value, places):
    typed = f"{value:.{places}f}"
    step = 10.0**-places

    assert agrees(value, typed)
    assert agrees(value, f"{value:,.{places}f}")
    assert not agrees(value, f"{float(typed) + 2 * step:.{places}f}") or math.ulp(value) > step / 2


def test_code_and_escaped_braces_are_left_alone(season, runs):
    path = runs / "round_002_child" / "notes.md"
    path.write_text(
        "## The Shot\n\nIt says `{{ val_bpb }}` and ``a ` {{ b }}``, \\{{ c }}.\n\n```\n{{ d }}\n```\n\n"
        "    {{ e }}\n\n- one\n\n  {{ n }} seeds and {{\n  val_bpb }}\n"
    )

    bound = bind_notes(season, season.holes[1])

    assert bound.problems == ()
    assert "3 seeds and 2.0455" in bound.text
    for kept in ("`{{ val_bpb }}`", "``a ` {{ b }}``", "\\{{ c }}", "```\n{{ d }}\n```", "    {{ e }}"):
        assert kept in bound.text


def test_failed_binding_is_named_by_file_and_line_and_stays_as_code(season, runs):
    path = runs / "round_002_child" / "notes.md"
    path.write_text("## The Shot\n\n{{ val_bpb }} is the score.\n\nNot {{ val_bpb = 1.9999 }}.\n")

    bound = bind_notes(season, season.holes[1])

    assert [one.message for one in bound.problems] == [
        f"{path}:5: {{{{ val_bpb = 1.9999 }}}}: the records say 2.0455"
    ]
    assert bound.notes.get("shot") == "2.0455 is the score.\n\nNot `{{ val_bpb = 1.9999 }}`."


@given(st.text(alphabet="a{}` \n\\#-|1=:.", max_size=60))
def test_bindings_lie_in_the_text_in_order(text):
    at = 0
    for binding in find_bindings(text):
        assert binding.start >= at
        assert text[binding.start : binding.start + 2] == "{{"
        assert binding.line == text[: binding.start].count("\n") + 1
        at = binding.end


def publish(harness, *words):
    return harness("publish", "--out", "site", "--no-pictures", *words)


def test_publish_names_a_number_that_the_records_contradict(season, runs, harness, tmp_path):
    """The site is made, exit 1 says that a note is wrong, and so does every publish until it is mended."""
    path = runs / "round_002_child" / "notes.md"
    path.write_text("## The Shot\n\nWhy?\n\nIt scored {{ val_bpb = 2.0456 }}, {{ delta.parent }}.\n")

    for _ in range(2):  # the second publish makes nothing again
        done = publish(harness)
        assert done.returncode == 1
        assert (
            "error: runs/round_002_child/notes.md:5: {{ val_bpb = 2.0456 }}: the records say 2.0455"
            in done.stderr
        )
        assert "hint: write {{ val_bpb = 2.0455 }}, or {{ val_bpb }} to follow the records" in done.stderr
    page = (tmp_path / "site" / "holes" / "round_002_child.html").read_text()
    assert "<code>{{ val_bpb = 2.0456 }}</code>, -0.0300" in page
    report = json.loads(publish(harness, "--json").stdout)
    assert report["wrong_notes"][0]["problem"].startswith("runs/round_002_child/notes.md:5")

    path.write_text("## The Shot\n\nWhy?\n\nIt scored {{ val_bpb = 2.0455 }}.\n")
    mended = publish(harness)

    assert (mended.returncode, mended.stderr) == (0, "")
    assert "It scored 2.0455." in (tmp_path / "site" / "holes" / "round_002_child.html").read_text()


def test_page_follows_the_record_of_another_hole_that_its_notes_name(season, runs, harness, tmp_path):
    """Hole 1 is not compared with hole 3; only its notes name it."""
    (runs / "round_001_base" / "notes.md").write_text("## The Shot\n\nHole 3: {{ hole:3.val_bpb }}.\n")
    publish(harness)
    page = tmp_path / "site" / "holes" / "round_001_base.html"
    assert "Hole 3: 1.9000." in page.read_text()

    record = runs / "round_003_other" / "attempt_01" / "record.json"
    record.write_text(record.read_text().replace("1.9", "1.8"))
    publish(harness)

    assert "Hole 3: 1.8000." in page.read_text()
