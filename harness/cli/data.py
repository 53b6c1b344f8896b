"""Data on disk: fetch what the challenge published, make a course of one's own text, check both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import figures
from harness.cli.app import CourseProgress, Json, PlainCommand, Runs, app, print_json, warn
from harness.cli.terminal import unguarded_streams
from harness.errors import UsageError
from harness.plain_text import plain_line

if TYPE_CHECKING:
    from harness.courses.prepare import TextCourse

MOST_LEFT_OUT = 5  # files that are named in warnings

data = typer.Typer(name="data", help="Fetch and check training data.", no_args_is_help=True)
app.add_typer(data)


@data.command(cls=PlainCommand, short_help="Fetch the published training data")
def pull(
    variant: Annotated[
        str, typer.Option("--variant", help="Which tokenizer: sp1024, sp8192, byte260.")
    ] = "sp1024",
    train_shards: Annotated[
        int | None,
        typer.Option(
            "--train-shards", metavar="N", help="The first N, 200 MB each; else the challenge's 80."
        ),
    ] = None,
    to: Annotated[Path, typer.Option("--to", help="Folder that gets datasets/ and tokenizers/.")] = Path(
        "data"
    ),
    repository: Annotated[
        str | None, typer.Option("--repository", help="Another dataset on the hub than the challenge's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch the published shards and tokenizer; what is there already stays, what was begun goes on."""
    from harness.courses import download

    def report(line: str) -> None:
        typer.echo(plain_line(line), err=True)

    with unguarded_streams():  # the hub's library draws its own bars
        pulled = download.pull(variant, to, train_shards, repository or download.REPOSITORY, report)
    if as_json:
        print_json(
            "data pull",
            repository=pulled.repository,
            commit=pulled.commit,
            fetched=pulled.fetched,
            kept=pulled.kept,
            tokens=pulled.tokens,
            data_path=str(pulled.data_path),
            tokenizer_path=str(pulled.tokenizer_path),
        )
        return
    typer.echo(
        f"{figures.number(len(pulled.fetched), 'file')} fetched, {len(pulled.kept)} were there: "
        f"{pulled.tokens['train']:,} training and {pulled.tokens['val']:,} validation tokens"
    )
    typer.echo(f"DATA_PATH={pulled.data_path}\nTOKENIZER_PATH={pulled.tokenizer_path}")


@data.command(cls=PlainCommand, short_help="Make a course of your own text")
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the course will be called.")],
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE ...]", help="More text: what a shell makes of `--text *.txt`."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            metavar="PATH",
            help="A file, a folder, a pattern or `-`; text or .jsonl, also .gz and .zst; repeatable.",
        ),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option("--field", metavar="KEY", help="Where a .jsonl line holds its text; else `text`."),
    ] = None,
    vocab: Annotated[
        int, typer.Option("--vocab", metavar="N", help="Pieces of the tokenizer to train, 300 to 65535.")
    ] = 1024,
    val_bytes: Annotated[
        int | None,
        typer.Option(
            "--val-bytes",
            metavar="N",
            help="Bytes of text to hold out, at least 10000; else 5 %, at most 10 MB.",
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="A new folder; else data/NAME.")] = None,
    title: Annotated[str, typer.Option("--title", help="Title on pages.")] = "",
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Make a course of your own text: tokenizer, shards, and runs/courses/NAME.toml.

    A text file is a document, and so is each line of a .jsonl file; files over 1 MB are cut into several.
    """
    from harness.courses.prepare import make_course

    if not text:
        raise UsageError(
            "no text is named",
            f"name a file or a folder: `harness data prepare {name} --text FOLDER`; `-` reads standard input",
        )
    prepared, path = make_course(
        name,
        (*text, *(more or ())),
        to or Path("data") / name,
        runs,
        CourseProgress(),
        vocab_size=vocab,
        val_bytes=val_bytes,
        field=field,
        title=title,
    )
    _show_prepared(name, prepared, path, as_json, runs)


def _show_prepared(name: str, prepared: TextCourse, path: Path, as_json: bool, runs: Path) -> None:
    from harness.records.store import Store
    from harness.season.aliases import next_number

    left_out = list(prepared.left_out.items())
    for document, why in left_out[:MOST_LEFT_OUT]:
        warn(f"{document} was left out: {why}")
    if len(left_out) > MOST_LEFT_OUT:
        warn(f"and {len(left_out) - MOST_LEFT_OUT} more were left out; --json names all")
    if as_json:
        print_json(
            "data prepare",
            course=name,
            file=str(path),
            documents=prepared.documents,
            left_out=prepared.left_out,
            vocab_size=prepared.vocab_size,
            train_tokens=prepared.train_tokens,
            val_tokens=prepared.val_tokens,
            val_bytes=prepared.val_bytes,
            yardsticks=prepared.yardsticks,
        )
        return
    yardsticks = ", ".join(f"{what} {bpb:.4f}" for what, bpb in prepared.yardsticks.items())
    typer.echo(
        f"{path}: {figures.number(prepared.documents, 'document')}, "
        f"{prepared.train_tokens:,} training tokens, "
        f"{prepared.val_tokens:,} validation tokens over {prepared.val_bytes:,} bytes"
    )
    typer.echo(f"yardsticks: {yardsticks} bits per byte")
    typer.echo(f"play it: harness run {next_number(Store(runs))} --course {name}")


@data.command(cls=PlainCommand, short_help="Check the data of every course")
def check(
    course: Annotated[
        list[str] | None,
        typer.Option("--course", metavar="NAME", help="Only this course's data; repeatable."),
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Check the data of every course: headers, sizes, hashes, tokenizer, validation text in the training."""
    from harness.cli.doctor import show_findings
    from harness.courses.course import course_names, load_course
    from harness.run.doctor.data import examine_data

    names = course or course_names(runs)
    for name in names:
        load_course(name, runs)  # an unknown one is refused
    show_findings([examine_data(name, runs) for name in names], "data check", as_json)
