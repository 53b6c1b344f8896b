"""The docs cannot lag behind the code."""

import re

import pytest
import typer

from harness.cli.commands import app
from harness.cli.reference import reference
from harness.errors import EXIT_MEANINGS, Exit, exit_table
from harness.records.origin import EvaluatedFrom, Provenance
from harness.records.record import Code, Data, Environment, Failure, RunRecord, Score
from harness.season.quantities import QUANTITIES
from tests.paths import ROOT
from trainer.config import KNOBS
from trainer.meanings import MEANINGS, USUAL
from trainer.names import ALIASES


def test_record_page_explains_every_field():
    page = (ROOT / "docs" / "record.md").read_text()
    explained = set(re.findall(r"`(\w+)`", page))

    for model in (RunRecord, Score, Failure, Code, Environment, Data, Provenance, EvaluatedFrom):
        names = {field.alias or name for name, field in model.model_fields.items()}
        assert names <= explained, (
            f"docs/record.md does not explain {sorted(names - explained)} of {model.__name__}"
        )


def test_exit_codes_page_is_the_table_of_the_code():
    assert exit_table() in (ROOT / "docs" / "exit-codes.md").read_text()
    assert list(EXIT_MEANINGS) == list(Exit)


def leaves(group, prefix="harness"):
    """Yield every command as it is typed, those of sub-commands too, with the command itself."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def test_readme_names_every_command():
    readme = (ROOT / "README.md").read_text()
    commands = [name for name, _ in leaves(typer.main.get_command(app))]

    assert "harness data pull" in commands
    assert [command for command in commands if not re.search(rf"{command}\b", readme)] == []


def test_readme_names_only_options_that_its_commands_have():
    known = dict(leaves(typer.main.get_command(app)))
    rows = re.findall(r"^\| `(harness [^`]+)` \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert len(rows) > 30
    for typed, text in rows:
        name = max((one for one in known if f"{typed} ".startswith(f"{one} ")), key=len)
        own = re.sub(r"`[a-z][^`]*`", "", text)  # without those of other commands: `ls --archived`
        named = set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", f"{typed} {own}"))
        options = {word for one in known[name].params for word in (*one.opts, *one.secondary_opts)}
        assert named - options == set(), typed


def test_commands_page_is_the_help():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

    assert page == reference(), "run `python -m harness.cli.reference > docs/cli.md`"


@pytest.mark.parametrize(
    "page", ["script", "json", "cli", "exit-codes", "python", "schema", "record", "notes"]
)
def test_readme_links_the_reference_pages(page):
    assert (ROOT / "docs" / f"{page}.md").is_file()
    assert f"(docs/{page}.md)" in (ROOT / "README.md").read_text()


def test_knobs_page_explains_every_added_knob_and_every_other_name():
    page = (ROOT / "docs" / "knobs.md").read_text()
    explained = set(re.findall(r"`(\w+)(?:=[^`]*)?`", page))

    assert {name for name, knob in KNOBS.items() if knob.added} <= explained
    assert set(ALIASES) <= explained


def test_notes_page_explains_every_figure_that_notes_may_bind():
    page = (ROOT / "docs" / "notes.md").read_text()

    assert [name for name in QUANTITIES if not re.search(rf"`{name}[`.]", page)] == []


@pytest.mark.parametrize("name", MEANINGS)
def test_knobs_page_says_what_public_scripts_mean_by_a_name(name):
    assert name in KNOBS or name in ALIASES
    assert f"| `{name}` | {MEANINGS[name]} |" in (ROOT / "docs" / "knobs.md").read_text().splitlines()


@pytest.mark.parametrize("name", USUAL)
def test_knobs_page_says_what_public_scripts_play_where_a_name_is_not_set(name):
    row = f"| `{name}` | {KNOBS[name].unset} | {USUAL[name]} |"

    assert row in (ROOT / "docs" / "knobs.md").read_text().splitlines()
    first = USUAL[name].split(" or ")[0]
    assert KNOBS[name].parse(first) != KNOBS[name].parse(KNOBS[name].unset)


PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_pages_name_modules_that_are_there(page):
    """A path is the repository's, or the package's: `harness/publish/build.py`, `publish/build.py`."""
    named = set(re.findall(r"`((?:\w+/)+\w+\.py)`", (ROOT / page).read_text()))

    assert [
        name for name in named if not any((top / name).exists() for top in (ROOT, ROOT / "harness"))
    ] == []
