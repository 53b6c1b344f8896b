"""The data of a script that takes no DATA_PATH: its places are worked out from its text, checked, or linked.

`harness.scripts.data_places` says where a script looks; here is what lies there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.files import cache_dir
from harness.scripts.data_places import DataPlace, read_data_layout, read_data_places
from harness.scripts.knobs import Script
from harness.scripts.snapshot import Snapshot

SHARDS, TOKENIZER = "DATA_PATH", "TOKENIZER_PATH"


def worked_out_places(
    script: Script, snapshot: Snapshot, settings: Mapping[str, str]
) -> dict[str, DataPlace]:
    """Return where a script finds what no knob of its own names, under DATA_PATH and TOKENIZER_PATH.

    settings: those that the script gets. Only places that hang on a knob count: another one may be a default
    that nobody opens.
    """
    wanted = [name for name in (SHARDS, TOKENIZER) if name not in script.knobs]
    if not wanted:
        return {}
    places = {place.kind: place for place in read_data_places(snapshot.texts(), settings) if place.knobs}
    shards = places.get("train") or places.get("val") or places.get("shards")
    known = {SHARDS: shards, TOKENIZER: places.get("tokenizer")}
    return {name: place for name in wanted if (place := known[name]) is not None}


def missing_place(
    place: DataPlace, script: Script, settings: Mapping[str, str], folder: Path
) -> HarnessError:
    """Return the error for a place that does not exist, with the knobs that it is worked out from."""
    knobs = [script.knobs[name] for name in sorted(place.knobs) if name in script.knobs]
    words = [f"{knob.name}={settings.get(knob.name, knob.default)}" for knob in knobs]
    source = f"{place.place} works it out from {', '.join(words)}"
    return HarnessError(
        f"{place.folder} does not exist (looked in {folder}; {source})",
        f"name the right place: -o {words[0].partition('=')[0]}=PATH, or fetch the data",
    )


def settings_for(
    snapshot: Snapshot, places: Mapping[str, str], settings: Mapping[str, str]
) -> dict[str, str]:
    """Return the settings with which a script that takes no DATA_PATH finds a course's data; or none.

    places: where the course has it, under DATA_PATH and TOKENIZER_PATH, and perhaps VOCAB_SIZE. Where the
    course's folders are named otherwise than the script expects, links of the expected names are made in the
    cache.
    """
    others = {name: value for name, value in places.items() if name not in (SHARDS, TOKENIZER)}
    layout = read_data_layout(snapshot.texts(), {**settings, **others})
    if layout is None:
        return {}
    shards, tokenizer = Path(places[SHARDS]).absolute(), Path(places[TOKENIZER]).absolute()
    value = layout.value_for(shards, tokenizer)
    return others | {layout.knob: value or str(_link(layout.links_for(shards, tokenizer)))}


def _link(links: Mapping[str, Path]) -> Path:
    """Make a folder with links and return it; the same links give the same folder."""
    name = hashlib.sha256(repr(sorted((key, str(path)) for key, path in links.items())).encode()).hexdigest()
    cache = cache_dir()
    if cache is None:
        raise HarnessError("there is no cache folder for links to the data", "set HARNESS_CACHE=DIR")
    folder = cache / "data_links" / name[:16]
    for below, target in links.items():
        link = folder / below
        if link.is_symlink() and link.readlink() == target:
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        beside = link.with_name(f"{link.name}.{os.getpid()}")
        beside.symlink_to(target)
        beside.replace(link)
    return folder
