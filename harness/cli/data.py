"""Data on disk: fetch what the challenge published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import Json, app, print_json

data = typer.Typer(name="data", help="Fetch and check training data.", no_args_is_help=True)
app.add_typer(data)


@data.command()
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
    from harness import hub

    pulled = hub.pull(
        variant, to, train_shards, repository or hub.REPOSITORY, lambda line: typer.echo(line, err=True)
    )
    if as_json:
        print_json(
            "data pull", repository=pulled.repository, commit=pulled.commit, fetched=pulled.fetched,
            kept=pulled.kept, tokens=pulled.tokens, data_path=str(pulled.data_path),
            tokenizer_path=str(pulled.tokenizer_path),
        )  # fmt: skip
        return
    typer.echo(
        f"{len(pulled.fetched)} files fetched, {len(pulled.kept)} were there: "
        f"{pulled.tokens['train']:,} training and {pulled.tokens['val']:,} validation tokens"
    )
    typer.echo(f"DATA_PATH={pulled.data_path}\nTOKENIZER_PATH={pulled.tokenizer_path}")
