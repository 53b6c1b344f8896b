"""Where a script finds its data is worked out from its text, for any value of its knobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.scripts.data_places import DataLayout, read_data_layout, read_data_places

HEAD = "import os, glob\nfrom pathlib import Path\n"
SCRIPTS = {
    "class attributes": """
class Hyperparameters:
    data_dir = os.environ.get("DATA_DIR", "./data/")
    vocab_size = int(os.environ.get("VOCAB_SIZE", 8192))
    datasets_dir = os.path.join(data_dir, "datasets", f"fineweb10B_sp{vocab_size}")
    train_files = os.path.join(datasets_dir, "fineweb_train_*.bin")
    val_files = os.path.join(datasets_dir, "fineweb_val_*.bin")
    tokenizer_path = os.path.join(data_dir, "tokenizers", f"fineweb_{vocab_size}_bpe.model")
""",
    "on one line": """
class H:data_dir=os.environ.get('DATA_DIR','data');vocab_size=int(os.environ.get('VOCAB_SIZE',8192));\
d=os.path.join(data_dir,'datasets',f"fineweb10B_sp{vocab_size}");train_files=os.path.join(d,'fineweb_train_*.bin');\
val=os.path.join(d,'fineweb_val_*.bin');t=os.path.join(data_dir,'tokenizers',f"fineweb_{vocab_size}_bpe.model")
""",
    "attributes in functions": """
class Settings:
    data_dir = os.environ.get("DATA_DIR", "./data")
    vocab_size = int(os.environ.get("VOCAB_SIZE", 8192))
    folder = os.path.join(data_dir, "datasets", f"fineweb10B_sp{vocab_size}")
H = Settings()
def load():
    train = sorted(glob.glob(os.path.join(H.folder, 'fineweb_train_*.bin')))
    args = Settings()
    data = f'fineweb10B_sp{args.vocab_size}'
    val = sorted(glob.glob(os.path.join(args.data_dir, 'datasets', data, 'fineweb_val_*.bin')))
    return spm(model_file=os.path.join(H.data_dir, 'tokenizers', f'fineweb_{H.vocab_size}_bpe.model'))
""",
    "attributes of self": """
class Settings:
    data_dir = os.environ.get("DATA_DIR", "./data")
    vocab_size = int(os.environ.get("VOCAB_SIZE", 8192))
    def __init__(self):
        self.folder = os.path.join(self.data_dir, f"datasets/fineweb10B_sp{self.vocab_size}")
        self.tokenizer = os.path.join(self.data_dir, f"tokenizers/fineweb_{self.vocab_size}_bpe.model")
        self.train_files = os.path.join(self.folder, "fineweb_train_*.bin")
        self.val_files = os.path.join(self.folder, "fineweb_val_*.bin")
""",
    "pathlib": """
ROOT = Path(os.environ.get("DATA_DIR", "data"))
V = int(os.environ.get("VOCAB_SIZE", "8192"))
train = sorted((ROOT / "datasets" / f"fineweb10B_sp{V}").glob("fineweb_train_*.bin"))
tokenizer = ROOT / "tokenizers" / ("fineweb_%d_bpe.model" % V)
val = str(ROOT / f"datasets/fineweb10B_sp{V}/fineweb_val_*.bin")
""",
    "texts": """
d = os.environ.get("DATA_DIR", "data")
v = os.environ.get("VOCAB_SIZE", "8192")
train = f"{d}/datasets/fineweb10B_sp{v}/fineweb_train_*.bin"
val = f"{d}/datasets/fineweb10B_sp{v}/fineweb_val_*.bin"
tokenizer = d + "/tokenizers/fineweb_" + v + "_bpe.model"
""",
    "a function": """
def paths(root, vocab):
    base = os.path.join(root, "datasets", f"fineweb10B_sp{vocab}")
    tokenizer = os.path.join(root, "tokenizers", f"fineweb_{vocab}_bpe.model")
    return os.path.join(base, "fineweb_train_*.bin"), os.path.join(base, "fineweb_val_*.bin"), tokenizer
train, val, tokenizer = paths(os.environ.get("DATA_DIR", "./data"), int(os.environ.get("VOCAB_SIZE", 8192)))
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_places_follow_the_folder_and_the_size_of_the_vocabulary(name: str) -> None:
    text = HEAD + SCRIPTS[name]

    usual = {place.kind: place for place in read_data_places(text)}
    assert usual["train"].path.removeprefix("./") == "data/datasets/fineweb10B_sp8192/fineweb_train_*.bin"
    assert usual["tokenizer"].knobs == {"DATA_DIR", "VOCAB_SIZE"}
    places = read_data_places(text, {"DATA_DIR": "/mnt", "VOCAB_SIZE": "1024"})
    assert {place.kind: place.folder for place in places} == {
        "train": "/mnt/datasets/fineweb10B_sp1024",
        "val": "/mnt/datasets/fineweb10B_sp1024",
        "tokenizer": "/mnt/tokenizers/fineweb_1024_bpe.model",
    }
    layout = DataLayout("DATA_DIR", "datasets/fineweb10B_sp1024", "tokenizers/fineweb_1024_bpe.model")
    assert read_data_layout(text, {"VOCAB_SIZE": "1024"}) == layout


def test_layout_names_the_folder_or_the_links_that_bring_data_there() -> None:
    layout = DataLayout("DATA_DIR", "datasets/fineweb10B_sp1024", "tokenizers/fineweb_1024_bpe.model")
    shards, tokenizer = Path("/d/datasets/fineweb10B_sp1024"), Path("/d/tokenizers/fineweb_1024_bpe.model")

    assert layout.value_for(shards, tokenizer) == "/d"
    assert layout.value_for(shards, Path("/elsewhere/t.model")) is None
    assert layout.value_for(Path("/d/shards"), tokenizer) is None
    assert layout.links_for(Path("/d/shards"), tokenizer) == {
        "datasets/fineweb10B_sp1024": Path("/d/shards"),
        "tokenizers/fineweb_1024_bpe.model": tokenizer,
    }


def test_a_script_that_names_the_shards_themselves_has_no_layout() -> None:
    text = HEAD + (
        'p = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")\n'
        't = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")\n'
        'train = os.path.join(p, "fineweb_train_*.bin")\n'
    )

    assert {place.kind: set(place.knobs) for place in read_data_places(text)} == {
        "train": {"DATA_PATH"},
        "tokenizer": {"TOKENIZER_PATH"},
    }
    assert read_data_layout(text) is None
