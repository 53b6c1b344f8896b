"""What holes are filed under: tags, and whether they are archived. Both stand in `round.toml`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from harness.errors import UsageError, nearest
from harness.records.intent import Intent, Tag, edit_intent, load_intent
from harness.records.store import Hole, Store


def change_tags(store: Store, hole: Hole, add: Sequence[str], remove: Sequence[str]) -> tuple[str, ...]:
    """Add tags to a hole and remove others. Return those that it has then, in alphabetical order.

    Raises UsageError for a word that is no tag, and for removing one that it does not have.
    """
    for word in add:
        _check_tag(word)
    with store.locked():
        before = load_intent(hole.intent_path).tags
        for word in remove:
            if word not in before:
                close = nearest(word, before)
                has = f"it has {', '.join(before)}" if before else "it has none"
                hint = f"did you mean {close}? " if close else ""
                raise UsageError(f'{hole.name.folder} has no tag "{word}"', hint + has)
        tags = tuple(sorted({*before, *add} - set(remove)))
        if tags != before:
            edit_intent(hole, tags=tags)
    return tags


def archive(store: Store, hole: Hole, archived: bool) -> Intent:
    """Leave a hole out of lists, or take it back into them; its score counts either way."""
    with store.locked():
        return edit_intent(hole, archived=archived)


def _check_tag(word: str) -> None:
    try:
        TypeAdapter(Tag).validate_python(word)
    except ValidationError:
        raise UsageError(
            f'"{word}" is no tag',
            "a tag has up to 31 lower-case letters, digits, dots, dashes and underscores: fp16, long-run",
        ) from None
