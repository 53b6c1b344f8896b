"""Numbers of a hole's notes, bound to records: `{{ val_bpb }}`, `{{ delta.parent }}`, `{{ n = 3 }}`.

A binding is a figure, or two with ` - `, ` / `, ` over ` or ` under ` between them (the last two: by what
share the first lies over or under the second); then, if wanted, `:.3f`, how it is written, and `= 2.046`,
how it was typed, which is held against the records at the digits typed. A figure is
`[hole:21.][attempt:2.]NAME[.OF]`; `harness.season.quantities` has the names. `{{ cited = 0.007 }}` is a
number that no record holds. Where bindings stand in a text knows `harness.records.notes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from harness.documents import FileProblem
from harness.errors import HarnessError, nearest
from harness.records.notes import Binding, Notes, fill_bindings, parse_notes, read_notes
from harness.season.hole import PlayedHole
from harness.season.quantities import OF, QUANTITIES, STAGES, Quantity, Source, Value, Writer, find_hole
from harness.season.score_kind import alike
from harness.season.season import Season
from harness.season.standing import KINDS

# Reading a binding --------------------------------------------------------------------------------

_TERM = (
    r"(?:hole:(?P<hole{0}>\w+)\.)?(?:attempt:(?P<attempt{0}>\d+)\.)?"
    r"(?P<name{0}>[A-Za-z_]\w*)(?:\.(?P<of{0}>[\w:-]+))?"
)
_EXPRESSION = re.compile(
    rf"\s*{_TERM.format(1)}(?:\s+(?P<operator>[-/]|over|under)\s+{_TERM.format(2)})?"
    r"\s*(?::\s*(?P<format>[^=]*?))?\s*(?:=\s*(?P<typed>.*?))?\s*",
    re.S,
)
_FORMAT = re.compile(r"\+?,?(\.\d{1,2})?[feg%d]?")
_CITED = re.compile(r"\s*cited\s*=\s*(?P<typed>.+?)\s*", re.S)


WITHDRAWN = "(withdrawn)"


class WithdrawnError(HarnessError):
    """A comparison that a decision took away: no mistake of the notes, which may be older."""


@dataclass(frozen=True)
class Term:
    """One figure of a hole, as a binding names it."""

    quantity: Quantity
    of: str
    source: Source

    def read(self) -> Value:
        """Return the value. Raises HarnessError when the records do not have it."""
        value = self.quantity.read(self.source, self.of)
        if value is not None:
            return value
        if self.quantity.of == "other" and (why := self.source.why_withdrawn(self.of)):
            raise WithdrawnError(why, f"`harness compare {self.source.played.name.folder}` says what is left")
        of = f" against {self.of}" if self.quantity.of == "other" else f" for {self.of}" if self.of else ""
        attempt = f", attempt {self.source.attempt}" if self.source.attempt is not None else ""
        folder = self.source.played.name.folder
        raise HarnessError(
            f"{folder}{attempt} has no {self.quantity.name}{of} on record{self._reason()}",
            f"`harness notes values {folder}` lists what is known",
        )

    def _reason(self) -> str:
        """Why there is no difference, as the card and `harness compare` say it."""
        reason = self.source.why_no_difference(self.of) if self.quantity.of == "other" else ""
        return f": {reason}" if reason else ""


Sources = dict[tuple[str, int | None], Source]


def evaluate(season: Season, played: PlayedHole, inside: str | None, sources: Sources | None = None) -> str:
    """Return the text of a binding. inside: what stands between its braces, None when they are not closed.

    sources: those read so far, by folder and attempt; a dict that several bindings share saves time.
    Raises HarnessError when it names what is not known, or when the records say otherwise.
    """
    if inside is None:
        raise HarnessError(
            "the braces are not closed", "end it with }}, or put it in `backticks` to show it as it is"
        )
    if cited := _CITED.fullmatch(inside):
        return cited["typed"]
    match = _EXPRESSION.fullmatch(inside)
    if match is None:
        raise HarnessError(
            "is not a binding",
            "write {{ val_bpb }}, {{ delta.parent }}, {{ hole:21.val_bpb:.3f }} or {{ val_bpb = 2.0455 }}; "
            "`backticks` around it show it as it is",
        )
    sources = {} if sources is None else sources
    first = _term(season, played, sources, match, 1)
    second = _term(season, played, sources, match, 2) if match["operator"] else None
    value, write = _combine(first, second, match["operator"])
    if match["format"] is not None:
        write = _formatter(value, match["format"])
    typed = match["typed"]
    if typed is None:
        return write(value)
    if not typed:
        raise HarnessError("nothing is typed behind the =", f"the records say {write(value)}")
    unit = first.quantity.unit if match["operator"] in (None, "-") else ""
    if not agrees(value, typed, unit):
        correct, names = _at_digits(value, typed) or write(value), " ".join(inside.partition("=")[0].split())
        raise HarnessError(
            f"the records say {correct}",
            f"write {{{{ {names} = {correct} }}}}, or {{{{ {names} }}}} to follow the records",
        )
    return typed


def _term(season: Season, played: PlayedHole, sources: Sources, match: re.Match[str], number: int) -> Term:
    hole, attempt, name, of = (match[f"{part}{number}"] for part in ("hole", "attempt", "name", "of"))
    if hole:
        played = find_hole(season, hole)
    quantity = QUANTITIES.get(name)
    if quantity is None:
        close = nearest(name, QUANTITIES)
        raise HarnessError(
            f'"{name}" is not known; known are {", ".join(QUANTITIES)}',
            f"did you mean {close}?" if close else f"`harness notes values {played.name.folder}` lists them",
        )
    if bool(quantity.of) != bool(of) or (of and not _fits(quantity.of, of)):
        expected = f"{name}.OF, with OF {OF[quantity.of]}" if quantity.of else f"{name} alone"
        raise HarnessError(f'"{name}{"." if of else ""}{of or ""}" is not known', f"write {expected}")
    if attempt and quantity.whole:
        raise HarnessError(f"{name} belongs to a whole hole, not to an attempt", "leave out attempt:N.")
    key = (played.name.folder, int(attempt) if attempt else None)
    source = sources.setdefault(key, Source(season, played, key[1]))
    if attempt and source.record is None:
        raise HarnessError(
            f"{played.name.folder} has no record of attempt {attempt}",
            f"`harness show {played.name.folder}` lists its attempts",
        )
    return Term(quantity, of or "", source)


def _fits(kind: str, of: str) -> bool:
    if kind == "other":
        return of in KINDS or of.startswith("hole:")
    return ":" not in of and (kind != "stage" or of in STAGES)


def _combine(first: Term, second: Term | None, operator: str | None) -> tuple[Value, Writer]:
    """Return the value of one figure or two, and how it is written unless a format says otherwise."""
    a = first.read()
    if second is None:
        return a, first.quantity.write
    b = second.read()
    if not isinstance(a, float | int) or not isinstance(b, float | int):
        raise HarnessError(
            f"{first.quantity.name} and {second.quantity.name} are not both numbers", "bind them apart"
        )
    if first.quantity.name == "val_bpb" and not alike(first.source.played.kind, second.source.played.kind):
        folders = first.source.played.name.folder, second.source.played.name.folder
        raise HarnessError(
            f"the scores of {folders[0]} and {folders[1]} are not of one kind",
            f"`harness compare {' '.join(folders)}` says why; name the stage, as in stage_bpb.round_trip",
        )
    if operator == "-":
        return a - b, first.quantity.difference
    if b == 0:
        raise HarnessError(f"{second.quantity.name} is 0", "divide by another figure")
    match operator:
        case "over":
            return a / b - 1, lambda value: _format(value, ".0%")
        case "under":
            return 1 - a / b, lambda value: _format(value, ".0%")
        case _:
            return a / b, lambda value: _format(value, ".2f")


def _formatter(value: Value, spec: str) -> Writer:
    whole = isinstance(value, int)
    if not spec or not _FORMAT.fullmatch(spec) or isinstance(value, str) or (spec[-1] == "d" and not whole):
        raise HarnessError(f'"{spec}" is not a format for it', "use .4f, +.4f, .0% or , (thousands)")
    if isinstance(value, tuple):
        low, high = value
        return lambda _: f"{_format(low, spec)} to {_format(high, spec)}"
    return lambda value: _format(value, spec)


def _format(value: Value, spec: str) -> str:
    """Like Python's format, but never a negative zero."""
    text = format(value, spec)
    return text if re.search("[1-9]", text) else format(0.0, spec)


# Typed numbers ------------------------------------------------------------------------------------

NUMBER = r"[+\-−]?(?:\d{1,3}(?:,\d{3})++|\d++)(?:\.\d++)?(?:[eE][+-]?\d{1,3}+)?"
_TYPED = re.compile(rf"(?P<number>{NUMBER})(?:\s*(?P<percent>%)|\s+(?P<unit>[A-Za-z]+))?")


def read_number(text: str) -> Decimal:
    """Read a number as people type it: thousands separated, with a minus sign of any kind."""
    return Decimal(text.replace(",", "").replace("−", "-"))


def rounds_to(value: float, typed: Decimal) -> bool:
    """Whether a value, rounded to the digits of a typed number, is that number."""
    half = Decimal(5).scaleb(int(typed.as_tuple().exponent) - 1)
    return abs(Decimal(value) - typed) <= half * (1 + Decimal("1e-9"))


def agrees(value: Value, typed: str, unit: str = "") -> bool:
    """Whether what was typed is the value, at the digits typed. unit: what may follow the number."""
    if isinstance(value, str):
        return " ".join(typed.split()).casefold() == value.casefold()
    if isinstance(value, tuple):
        parts = typed.split(" to ")
        return len(parts) == 2 and all(agrees(v, t.strip()) for v, t in zip(value, parts, strict=True))
    match = _TYPED.fullmatch(typed)
    if match is None or match["unit"] not in (None, unit or None):
        return False
    scale = 100 if match["percent"] else 1
    return rounds_to(value * scale, read_number(match["number"]))


def _at_digits(value: Value, typed: str) -> str:
    """The value with as many digits as were typed; empty where that is no plain number."""
    match = _TYPED.fullmatch(typed)
    if match is None or not isinstance(value, float | int) or match["unit"] or "e" in typed.lower():
        return ""
    places = max(0, -int(read_number(match["number"]).as_tuple().exponent))
    sign = "+" if typed.startswith("+") else ""
    return _format(value, f"{sign},.{places}{'%' if match['percent'] else 'f'}")


# A hole's notes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class NoteProblem:
    """A binding that gives no text, or that the records contradict."""

    place: str  # file:line
    binding: str
    reason: str
    hint: str

    @property
    def message(self) -> str:
        return f"{self.place}: {self.binding}: {self.reason}"


@dataclass(frozen=True)
class BoundNotes:
    """Notes with their bindings filled in. text: the whole file. unread: why it could not be read."""

    text: str = ""
    problems: tuple[NoteProblem, ...] = ()
    unread: str = ""

    @cached_property
    def notes(self) -> Notes:
        return parse_notes(self.text)


def bind_notes(season: Season, played: PlayedHole) -> BoundNotes:
    """Read a hole's notes and fill in their bindings. One that fails stays in the text, as code.

    What a decision took away is marked, with the figure that was typed.
    """
    path = played.hole.notes_path
    try:
        text = read_notes(path)
    except FileProblem as error:
        return BoundNotes(unread=error.message)
    problems: list[NoteProblem] = []
    sources: Sources = {}

    def fill(binding: Binding) -> str:
        raw = " ".join(text[binding.start : binding.end].split())
        try:
            return evaluate(season, played, binding.inside, sources)
        except WithdrawnError:
            _, _, typed = (binding.inside or "").partition("=")
            return f"{typed.strip()} {WITHDRAWN}".strip()
        except HarnessError as error:
            problems.append(NoteProblem(f"{path}:{binding.line}", raw, error.message, error.hint))
            return f"`{raw}`"

    return BoundNotes(fill_bindings(text, fill), tuple(problems))
