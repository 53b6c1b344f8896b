"""What is masked and what is not: names, forms of tokens, addresses, paths; and that it stays linear."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.files import data_path
from harness.privacy import (
    SECRET,
    find_leaks,
    looks_secret,
    mask_page,
    mask_setting,
    mask_text,
    mask_words,
    secrets_of_code,
    shapes,
)
from harness.run.request import field_knobs
from tests.paths import DATA, ROOT
from trainer.config import KNOBS
from trainer.names import ALIASES

# fmt: off
NAMED = [
    "HF_TOKEN", "MY_API_TOKEN", "WANDB_API_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID", "pass", "GITHUB_TOKEN", "DB_PASSWORD", "MYSQL_PWD", "CLIENT_SECRET", "SECRET_SAUCE",
    "SSH_PASSPHRASE", "hf_token", "apiKey", "dbPassword", "api-key", "APIKEY", "HUGGINGFACE_TOKEN",
    "GH_PAT", "DOCKER_AUTH", "SERVICE_CREDENTIALS", "TOKEN",
]
KNOB_LIKE = [
    "TOKENIZER_PATH", "TRAIN_BATCH_TOKENS", "NUM_KV_HEADS", "KV_HEADS", "KEY_DIM", "KEY_LR",
    "QUERY_KEY_NORM", "MAX_TOKENS", "TOKENS", "VOCAB_SIZE", "KEYS", "NUM_KEYS", "MONKEY", "HOCKEYSTICK",
    "TOKENIZER", "BOS_TOKEN", "PAD_TOKEN_ID", "AUTHOR", "PATH", "PWD", "PASSES", "SEED", "VALUE_KEY",
    "SORT_KEY", "TIED_KEY",
]
# fmt: on


@pytest.mark.parametrize("name", NAMED)
def test_a_name_tells_of_a_secret(name: str) -> None:
    assert looks_secret(name, "sekret123")
    assert mask_setting(name, "sekret123") == SECRET


@pytest.mark.parametrize("name", KNOB_LIKE)
def test_a_knob_is_no_secret_for_its_letters(name: str) -> None:
    assert not looks_secret(name, "sekret123")
    assert mask_setting(name, "abc") == "abc"


@pytest.mark.parametrize("value", ["0", "1", "true", "no", "256", "0.5", "1e-3", "50_257", ""])
def test_a_number_or_a_switch_is_no_token(value: str) -> None:
    assert not looks_secret("SMEAR_TOKEN", value)
    assert not looks_secret("USE_KEY", value)


def test_no_knob_that_anybody_uses_is_taken_for_a_secret() -> None:
    names = {*KNOBS, *ALIASES, *field_knobs()}

    assert [name for name in names if looks_secret(name, "text")] == []
    assert [
        knob.name
        for knob in KNOBS.values()
        if mask_setting(knob.name, str(knob.default)) != str(knob.default)
    ] == []


A, D = "aB3dE5gH1jK7mN9pQ2sT4vW6yZ8bC0" * 4, "1234567890" * 8  # letters and digits as tokens have them
HEX = "0123456789abcdef" * 4
TOKENS = {
    "ghp_": f"ghp_{A[:36]}",
    "github_pat_": f"github_pat_{A[:22]}_{A[:59]}",
    "gl": f"glpat-{A[:20]}",
    "hf_": f"hf_{A[:34]}",
    "api_org_": f"api_org_{A[:34]}",
    "sk-": f"sk-proj-{A[:48]}",
    "wandb_v1_": f"wandb_v1_{A[:40]}",
    "AKIA": f"AKIA{'Q2W3E4R5T6Y7U8I9'}",
    "AIza": f"AIza{A[:35]}",
    "ya29.": f"ya29.{A[:40]}",
    "GOCSPX-": f"GOCSPX-{A[:28]}",
    "xox": f"xoxb-{D[:12]}-{A[:24]}",
    "hooks.slack.com": f"https://hooks.slack.com/services/T{D[:8]}/B{D[:8]}/{A[:24]}",
    "/api/webhooks/": f"https://discord.com/api/webhooks/{D[:18]}/{A[:60]}",
    ".": f"M{A[:23]}.{A[:6]}.{A[:27]}",
    ":AA": f"{D[:10]}:AA{A[:33]}",
    "_live_": f"sk_live_{A[:24]}",
    "SG.": f"SG.{A[:22]}.{A[:43]}",
    "-us": f"{HEX[:32]}-us12",
    "AC": f"AC{HEX[:32]}",
    "npm_": f"npm_{A[:36]}",
    "pypi-": f"pypi-{A[:80]}",
    "dckr_": f"dckr_pat_{A[:27]}",
    "_v1_": f"dop_v1_{HEX}",
    "AccountKey=": f"AccountKey={A[:86]}==",
    "r8_": f"r8_{A[:37]}",
    "gsk_": f"gsk_{A[:52]}",
    "xai-": f"xai-{A[:80]}",
    "rpa_": f"rpa_{'Q2W3E4R5T6Y7U8I9' * 2}{'QW' * 4}",
    "dapi": f"dapi{HEX[:32]}",
    "hvs.": f"hvs.{A[:24]}",
    "tskey-": f"tskey-auth-{A[:17]}",
    "AGE-SECRET-KEY-": f"AGE-SECRET-KEY-1{'Q2W3E4R5T6Y7U8I9' * 3}{'QWERTYUIOP'}",
    "eyJ": f"eyJ{A[:20]}.eyJ{A[:40]}.{A[:43]}",
    "earer ": f"Bearer {A[:32]}",
    "PRIVATE KEY": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{A[:64]}\n-----END OPENSSH PRIVATE KEY-----",
}


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: f"{shape.kind} {shape.literals[0]}")
def test_every_form_is_found_wherever_it_stands(shape) -> None:
    token = TOKENS[shape.literals[0]]

    assert mask_text(f"with {token}, done") == f"with {SECRET}, done"
    assert mask_page(f"<p>&quot;{token}&quot;</p>") == f"<p>&quot;{SECRET}&quot;</p>"
    assert mask_setting("INNOCENT", token) == SECRET
    assert [leak.kind for leak in find_leaks(f"x={token};")][:1] == [shape.kind]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("https://alice:hunter2@host.example/a.git", "https://[secret]@host.example/a.git"),
        ("postgres://u:p%40ss@10.0.0.1:5432/db", "postgres://[secret]@10.0.0.1:5432/db"),
        ("https://x.example/?token=abc123&n=1", "https://x.example/?token=[secret]&n=1"),
        ("HF_TOKEN=abcdef python train.py", "HF_TOKEN=[secret] python train.py"),
        ('{"api_key": "two words", "n": 1}', '{"api_key": [secret], "n": 1}'),
        ("train.py --hf-token abcdef --steps 3", "train.py --hf-token [secret] --steps 3"),
        ('File "/home/alice/golf/train.py", line 3', 'File "…/train.py", line 3'),
        ("data_path:/home/alice/data/fineweb tokens:5", "data_path:…/fineweb tokens:5"),
        ("open '/Users/Alice B/x y/z.bin'", "open '…/z.bin'"),
        (r"at C:\Users\alice\golf\train.py now", "at …/train.py now"),
        (r"\\nas01\alice\x.bin", "…/x.bin"),
        ("~alice/data/x.bin", "…/x.bin"),
        ("file:///home/alice/x.txt", "file://…/x.txt"),
        ("alice@node17:~/golf$", "[user]:~/golf$"),
        ("connect to node17.cluster.local:29500", "connect to [host]:29500"),
        ("hostname: bigbox", "hostname: [host]"),
    ],
)
def test_texts_lose_what_is_private_and_nothing_else(said: str, kept: str) -> None:
    assert mask_text(said) == kept
    assert mask_text(kept) == kept


@pytest.mark.parametrize(
    "said",
    [
        "step:1/20 train_loss:5.0 tokens/s 3/4 and/or",
        "https://github.com/openai/parameter-golf/pull/77",
        "git@github.com:openai/x.git and ssh://git@github.com/x/y",
        "val_bpb@1000>1.45 ended it",
        "key: rotary, value: none; token: embedding",
        "runs/round_001/attempt_01/record.json is not JSON",
        "sha256 " + HEX,
        "sk-learn-like-names-without-digits-in-them",
        "./data/x.bin ../data/y/z.bin ~/data/z.bin",
        "MATRIX_LR=0.03 TOKENIZER_PATH=byte260 NUM_KV_HEADS=4",
    ],
)
def test_what_is_meant_stays(said: str) -> None:
    assert mask_text(said) == said
    assert list(find_leaks(said)) == []


def test_the_logs_of_the_field_keep_their_numbers() -> None:
    """Real logs: of every line with a number that counts, the number is still there."""
    for log in sorted((DATA / "field").rglob("*.log")) + sorted((DATA / "field").rglob("*.txt")):
        text = log.read_text("utf-8", "replace")
        numbers = re.findall(r"(?:val_bpb|val_loss|train_loss|step_avg)[:=]\s?[\d.]+", text)

        assert (
            re.findall(r"(?:val_bpb|val_loss|train_loss|step_avg)[:=]\s?[\d.]+", mask_text(text)) == numbers
        )


@given(
    st.lists(st.sampled_from([*"ab:/@=~.\\-_\"' <>[]HKT0", "TOKEN=", "://", "ghp_", "host", A]), max_size=30)
)
def test_masking_twice_is_masking_once(words: list[str]) -> None:
    once = mask_text("".join(words))

    assert mask_text(once) == once


def test_two_folders_are_told_apart_and_not_shown() -> None:
    one, other = (mask_setting("INIT_FROM", f"/home/alice/{run}/model.pt") for run in ("a", "b"))

    assert one != other
    assert re.fullmatch(r"\[dir-[0-9a-f]{4}\]/model\.pt", one)
    assert mask_setting("INIT_FROM", one) == one


def test_a_command_keeps_its_words() -> None:
    words = ("harness", "run", "round_001", "--script", "/home/a/t.py", "-o", "HF_TOKEN=x1", "-o", "LR=0.1")

    assert mask_words(words) == (
        "harness",
        "run",
        "round_001",
        "--script",
        "t.py",
        "-o",
        f"HF_TOKEN={SECRET}",
        "-o",
        "LR=0.1",
    )


def test_code_that_holds_a_token_is_named_by_its_line() -> None:
    code = {
        "a.py": b"import os\nkey = os.environ['API_KEY']\n",
        "b.py": f"x = 1\n\nlogin('{TOKENS['hf_']}')\n".encode(),
    }

    assert list(secrets_of_code(code)) == [("b.py line 3", "Hugging Face token")]


PIECES = [
    "/a",
    "a@",
    "sk-",
    "eyJ.",
    "-----BEGIN PRIVATE KEY-----",
    "KEY=",
    "a.b-",
    "~a/",
    "\\\\a\\",
    "://a:",
    "1_",
    "M.",
    "host:",
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_megabyte_takes_a_second_not_a_day(piece: str) -> None:
    """Linear in the text: in a process of its own, ended where it is not."""
    program = f"from harness.privacy import mask_text\nmask_text({piece!r} * (10**6 // {len(piece)}) + '!')"

    subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=True)


def test_the_list_of_forms_is_well_formed() -> None:
    lines = data_path("secrets.tsv").read_text("utf-8").splitlines()

    assert len(shapes()) == len([line for line in lines if line and not line.startswith("#")])
    assert {shape.literals[0] for shape in shapes()} == set(TOKENS)


HEX = "0123456789abcdef0123456789abcdef01234567"
PRIVATE = {
    r"{\"api_key\": \"abcd1234efgh5678\"}": "abcd1234",
    '{"token": "abcdefgh12345678"}': "abcdefgh",
    "--api-key=abcdefgh12345678": "abcdefgh",
    f"machine api.wandb.ai login user password {HEX}": HEX,
    f"wandb: logged in with key {HEX}": HEX,
    "https://wandb.ai/a/runs/x?apiKey=abcdefgh12345678": "abcdefgh",
    r"C:\Users\Alice Smith\proj\x.py": "Alice",
    r'"C:\\Users\\Alice Smith\\x.py"': "Alice",
    "cd /home/alice": "alice",
    "ssh alice@10.1.2.3": "alice",
    "environ({'USER': 'alice', 'LOGNAME': 'alice'})": "alice",
    '{"username": "alice"}': "alice",
    "MASTER_ADDR=10.12.13.14": "10.12.13.14",
}
SENTENCES = [
    f"commit {HEX}",
    '{"key": "blocks_0_attention_weight_1"}',
    '{"token": "hello"}',
    "USER_AGENT=torch",
    "the key is the query",
    "a user of 10.1.2.3 layers",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_what_is_private_by_the_word_before_it_is_masked(text: str) -> None:
    masked = mask_text(text)

    assert PRIVATE[text] not in masked
    assert mask_text(masked) == masked


@pytest.mark.parametrize("text", SENTENCES)
def test_words_that_only_look_alike_stay(text: str) -> None:
    assert mask_text(text) == text
