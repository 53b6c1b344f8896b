"""harness publish: render the site, and deploy it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import figures
from harness.cli.app import Json, Runs, SeasonCommand, Strict, app, print_error, print_json, warn
from harness.errors import Exit, UsageError

if TYPE_CHECKING:
    from harness.publish.deploy import Target


@app.command(cls=SeasonCommand, short_help="Make the website, and deploy it")
def publish(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder of the site; swapped in whole.")] = Path("_site"),
    base_url: Annotated[
        str, typer.Option("--base-url", help="Where it will be served, for canonical links and feeds.")
    ] = "",
    theme: Annotated[
        Path | None, typer.Option("--theme", help="Folder whose templates, assets and copy win over ours.")
    ] = None,
    pictures: Annotated[bool, typer.Option(help="Draw the social picture of each hole.")] = True,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make every page again, not only what changed.")
    ] = False,
    deploy: Annotated[
        str | None,
        typer.Option("--deploy", metavar="BRANCH", help="Show what putting it on this branch would change."),
    ] = None,
    push: Annotated[bool, typer.Option("--push", help="With --deploy: really commit and push.")] = False,
    remote: Annotated[
        str | None, typer.Option("--remote", help="With --deploy: which remote, when there are several.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --deploy: replace a branch that holds other files.")
    ] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Render the club: a page per hole, the index, the field, the handbook.

    Exit 1 when a number that a hole's notes bind to the records contradicts them; the site is made all the
    same, but not pushed.
    """
    if not runs.is_dir():
        raise UsageError(
            f"there is no folder {runs}", "play a hole first, or name the season with --runs DIR"
        )
    if deploy is None and (push or replace or remote):
        raise UsageError("--push, --remote and --replace say how to deploy", "add --deploy gh-pages")
    from harness.publish.build import PublishOptions
    from harness.publish.build import publish as build
    from harness.publish.deploy import find_target

    target = find_target(runs, deploy, remote) if deploy is not None else None
    options = PublishOptions(
        base_url=base_url or (target.url if target else ""), theme=theme, pictures=pictures, fresh=fresh
    )
    report = build(runs, out, options)
    for problem in report.problems:
        warn(problem)
    for message, hint in report.wrong_notes:
        print_error(message, hint)
    failed = bool(report.wrong_notes) or (strict and bool(report.problems))
    if not as_json:
        written = figures.number(report.written, "file")
        typer.echo(f"{out}/index.html: {written} written, {report.unchanged:,} unchanged")
    deployed = None
    if target:
        deployed = _deploy(context, out, target, push=push and not failed, replace=replace, quiet=as_json)
    if as_json:
        print_json(
            "publish",
            out=str(out),
            written=report.written,
            unchanged=report.unchanged,
            problems=list(report.problems),
            wrong_notes=[{"problem": message, "hint": hint} for message, hint in report.wrong_notes],
            deploy=deployed,
        )
    if failed:
        raise typer.Exit(Exit.FAILED)


def _deploy(
    context: typer.Context, out: Path, target: Target, *, push: bool, replace: bool, quiet: bool
) -> dict[str, Any]:
    """Print what a deploy would change; push it with --push."""
    from harness.publish import deploy

    plan = deploy.plan_deploy(out, target)
    if plan.size_bytes > deploy.SITE_LIMIT_BYTES:
        warn(f"the site has {plan.size_bytes / 1e9:.2f} GB; GitHub Pages publishes up to 1 GB")
    commit = deploy.deploy(plan, replace) if push and not plan.nothing_to_do else ""
    report = {
        "branch": target.branch,
        "remote": target.remote,
        "address": target.address,
        "url": target.url,
        "added": plan.added,
        "changed": plan.changed,
        "removed": plan.removed,
        "files": len(plan.files),
        "size_bytes": plan.size_bytes,
        "foreign": plan.foreign,
        "pushed": commit or None,
    }
    if not quiet:
        new = "" if plan.base else ", a new branch"
        typer.echo(f"branch {target.branch} of {target.remote} ({target.address}){new}")
        typer.echo(
            f"{figures.number(len(plan.files), 'file')}, {plan.size_bytes / 1e6:.2f} MB: "
            f"{plan.added} added, {plan.changed} changed, {plan.removed} removed"
        )
        typer.echo(f"address: {target.url or 'depends on the host; say it with --base-url'}")
        if plan.nothing_to_do:
            typer.echo("the branch holds this site already; nothing to push")
        elif commit:
            typer.echo(f"pushed as {commit[:12]}")
        else:
            if plan.foreign and not replace:
                typer.echo("the branch holds something else; --replace puts the site in its place")
            typer.echo(f"nothing was pushed; to do it: {_same_command(context)} --push")
    return report


def _same_command(context: typer.Context) -> str:
    """The command as it was typed: every option that is not at its default."""
    words = ["harness", str(context.info_name)]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if value is None or value == parameter.default or parameter.name == "push":
            continue
        if isinstance(value, bool):
            words.append(parameter.opts[0] if value else parameter.secondary_opts[0])
        else:
            words += [parameter.opts[0], str(value)]
    return shlex.join(words)
