"""Which result of a run is its score: by what the labels say, what was packed, and where the lines stand.

The rule in one sentence is `RULE`; what a label says is read by `harness.field.result_lines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.field.log_events import ResultLine, Size
from harness.field.printed_sizes import PrintedSizes

TWIN_BPB = 5e-5  # values this close are one result at two precisions
RULE = "the lowest val_bpb among post-quantization result lines, read from its most precise twin"
STATED = "what the trainer states at its end"
CAP_BYTES = 16_000_000  # of the challenge; tells which of several artifacts of one log was handed in


@dataclass(frozen=True)
class ScoreChoice:
    """official: the line that holds the score; None when the artifact was not evaluated.

    candidates: what it was chosen from. total: the printed size of the artifact that was scored.
    artifacts: how many artifacts of different sizes were made and scored. doubt: why it is not sure, or None.
    """

    official: ResultLine | None
    candidates: tuple[ResultLine, ...]
    total: Size | None
    artifacts: int
    doubt: str | None

    @property
    def why(self) -> str | None:
        """One sentence: which rule chose the official line, out of how many, and how sure that is."""
        line = self.official
        if line is None:
            return None
        among = f", of the {self.artifacts} artifacts in the log one that fits" if self.artifacts > 1 else ""
        sure = f"; not sure, since {self.doubt}" if self.doubt else ""
        rule = STATED if line.claim == "stated" else RULE
        return f"{rule}{among}: line {line.line}, {line.label} (of {len(self.candidates)}){sure}"


def choose_score(results: Sequence[ResultLine], sizes: PrintedSizes, last_step_line: int) -> ScoreChoice:
    """Choose the official result of a run. last_step_line: where training ended, 0 without training."""
    candidates = _candidates(results, sizes, last_step_line)
    totals = sizes.counted_totals()
    last_total = totals[-1] if totals else None
    if not candidates:
        return ScoreChoice(None, (), last_total, 0, None)
    artifacts, fit = _by_artifact(candidates, totals), candidates
    if len(artifacts) > 1:
        fit = [line for size, lines in artifacts if size < CAP_BYTES for line in lines] or candidates
    official = _lowest(fit)
    total = last_total
    if len(artifacts) > 1:
        scored = next((size for size, lines in artifacts if official in lines), None)
        total = next((total for total in reversed(totals) if total.bytes == scored), last_total)
    doubt = None if _is_sure(official, sizes) else _doubt(sizes)
    return ScoreChoice(official, tuple(candidates), total, len(artifacts), doubt)


def _candidates(results: Sequence[ResultLine], sizes: PrintedSizes, last_step_line: int) -> list[ResultLine]:
    """The results that can be the score: of the artifact by their label or by their place in the log.

    Where there is none, what the trainer states at its end.
    """
    lines = [line for line in results if line.val_bpb is not None and line.val_bpb > 0]
    by_name = [line for line in lines if line.claim == "artifact"]
    packed_at = min((line.line for line in by_name), default=None)
    if sizes.packed_at is not None and (packed_at is None or sizes.packed_at < packed_at):
        packed_at = sizes.packed_at
    stated = [line for line in lines if line.claim == "stated"]
    if packed_at is None:
        evaluated = [line for line in lines if line.claim == "evaluation" and line.line > last_step_line]
        return evaluated or stated
    after = ("evaluation", "unknown")  # what these are of is told by their place
    found = [line for line in lines if line in by_name or (line.claim in after and line.line > packed_at)]
    return found or stated


def _lowest(lines: Sequence[ResultLine]) -> ResultLine:
    lowest = min(line.val_bpb for line in lines if line.val_bpb is not None)
    twins = [line for line in lines if line.val_bpb is not None and line.val_bpb - lowest <= TWIN_BPB]
    return max(twins, key=lambda line: (line.decimals, -(line.val_bpb or 0), -line.line))


def _is_sure(official: ResultLine, sizes: PrintedSizes) -> bool:
    """Whether the score's label, or its place after the artifact's size, says what it is of."""
    return official.claim == "artifact" or (official.claim == "evaluation" and sizes.packed_at is not None)


def _doubt(sizes: PrintedSizes) -> str:
    if sizes.packed_at is None:
        return "the log prints no artifact: it is the score of the trained weights"
    return "no label says that it is the artifact's"


def _by_artifact(lines: Sequence[ResultLine], totals: Sequence[Size]) -> list[tuple[int, list[ResultLine]]]:
    """Group results by the artifact whose size stands before them: (bytes of the total, results).

    The size stands after them in a log that prints every score first. One group, or none, unless artifacts of
    different sizes were made and scored one after the other.
    """
    groups: list[tuple[int, list[ResultLine]]] = []
    scores_first = bool(totals) and lines[0].line < totals[0].line and lines[-1].line < totals[-1].line
    for line in lines:
        before = [total for total in totals if total.line < line.line]
        after = [total for total in totals if total.line > line.line]
        nearest = after[:1] if scores_first else before[-1:] or totals[:1]
        size = nearest[0].bytes if nearest else None
        if size is None:
            return []
        if groups and groups[-1][0] == size:
            groups[-1][1].append(line)
        else:
            groups.append((size, [line]))
    return groups
