"""What must not leave this machine, and the marks that stand in its place.

Secrets: settings whose names say so (TOKEN, KEY, SECRET, PASSWORD), tokens by their form
(`data/secrets.tsv`), an address with a password. Places: absolute paths, and with them home folders and
user names. Hosts by name.

    looks_secret()     of a setting, by its name and value
    mask_setting()     a setting as a record keeps it
    mask_text()        a sentence of a log or an error as a record keeps it and a page shows it
    mask_page()        a whole page: forms of tokens, passwords and home folders, which no page means
    find_leaks()       what of this kind a text holds, for `harness doctor --publish`

Pure but for `own_hosts`; needs no network. Masking what is masked changes nothing.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import NamedTuple

from harness.files import data_path

SECRET = "[secret]"
LAW = 2  # raised when more is masked: pages that an earlier law made are made again

# Names ----------------------------------------------------------------------------------------------

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ALWAYS = frozenset(
    f"{word}{end}" for word in ("SECRET", "PASSWORD", "PASSPHRASE", "CREDENTIAL") for end in ("", "S")
) | {"PASSWD", "PASSCODE"}
_JOINED = ("APIKEY", "AUTHTOKEN", "ACCESSTOKEN", "ACCESSKEY", "SECRETKEY", "PRIVATEKEY")
_LAST = frozenset({"TOKEN", "KEY", "AUTH", "JWT", "COOKIE", "PAT", "PWD", "PASS", "DSN"})
_NOT_ALONE = frozenset({"PAT", "PWD", "COOKIE", "DSN"})  # PWD is a folder
# Of a vocabulary, of attention, of a table: no access is meant.
_HARMLESS_WORDS = """
BOS EOS PAD UNK MASK SEP CLS START END STOP SPECIAL NEXT PREV LAST FIRST SINK PER EVERY IMAGE VALUE QUERY ATTN
ATTENTION SORT CACHE GROUP PRIMARY REGISTER SMEAR TIED SHARED FORWARD BACKWARD MULTI
"""
_HARMLESS = frozenset(_HARMLESS_WORDS.split())
_NUMBER = re.compile(r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_NO_VALUE = {"", "true", "false", "yes", "no", "on", "off", "none", "null", "0", "1", "auto", SECRET}


@lru_cache(4096)
def is_secret_name(name: str) -> bool:
    """Whether a setting of this name holds a secret: HF_TOKEN, dbPassword; not KV_HEADS, KEY_DIM."""
    words = [word.upper() for word in _WORD.findall(name)]
    if not words:
        return False
    if _ALWAYS & set(words) or any(joined in "".join(words) for joined in _JOINED):
        return True
    if words[-2:] == ["KEY", "ID"] and "ACCESS" in words:
        return True
    if words[-1] not in _LAST or (len(words) == 1 and words[0] in _NOT_ALONE):
        return False
    return not _HARMLESS & set(words[:-1])


def looks_secret(name: str, value: str) -> bool:
    """Whether a setting is kept out of records: by its name, unless its value is a switch or a number."""
    text = value.strip()
    if text.lower() in _NO_VALUE or text.startswith("$") or not is_secret_name(name):
        return False  # $NAME is where a shell finds it
    if _ALWAYS & {word.upper() for word in _WORD.findall(name)}:
        return True
    return not _NUMBER.fullmatch(text) and not (text.startswith("<") and text.endswith(">"))


# Forms ----------------------------------------------------------------------------------------------


class Shape(NamedTuple):
    """literals: one of them stands in every text that the pattern finds."""

    kind: str
    literals: tuple[str, ...]
    pattern: re.Pattern[str]


class Leak(NamedTuple):
    kind: str
    text: str


@cache
def shapes() -> tuple[Shape, ...]:
    rows = (
        line.split("\t")
        for line in data_path("secrets.tsv").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    return tuple(
        Shape(kind, tuple(literals.split("|")), re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])"))
        for kind, literals, pattern in rows
    )


_USER_INFO = re.compile(
    r"(?<=://)(?!git@)(?:[^\s/@:\"'<>\[\]]*:[^\s/@\"'<>\[\]]+|[^\s/@:\"'<>\[\]]{8,})(?=@)"
)
# A setting in a text: NAME=VALUE, "name": "value"; --name VALUE.
_NAME = r"[A-Za-z][\w.-]{0,60}"
_VALUE = r"\\\"[^\"\\\n]{1,500}\\\"|\"[^\"\n]{1,500}\"|'[^'\n]{1,500}'|[^\s\"',;&<>(){}\[\]]{4,}"
_SETTING = re.compile(
    rf"(?<![\w.-])(?:--?)?(?P<name>{_NAME})\\?[\"']?\s?[=:]\s?(?P<value>{_VALUE})"
    rf"|--(?P<option>{_NAME})\s(?P<word>{_VALUE})"
)
_QUERY = re.compile(
    r"(?<=[?&])((?:X-Amz-)?(?:sig|signature|token|api_?key|key|password|auth|access_token))=([^\s&\"'<>\[\]]+)",
    re.I,
)
# Keys and users by the word before them: `login me password VALUE`, `key 0f3a…`, USER=me, "user": "me".
_NAMED = re.compile(
    r"(?P<before>\blogin\s\S{1,80}\spassword\s|(?i:\bkey\b[:=]?\s))"
    r"(?P<key>(?<=password\s)\S{4,200}|[0-9a-f]{32,128}\b)"
)
_NAMED_USER = re.compile(
    r"(\b(?:USER|USERNAME|LOGNAME|SUDO_USER)[\"']?\s?[=:]\s?[\"']?"
    r"|[\"']user(?:_?name)?[\"']:\s?[\"'])([A-Za-z_][\w.-]{0,63})"
)
_MASTER = re.compile(r"(\bMASTER_ADDR[\"']?\s?[=:]\s?[\"']?)((?:\d{1,3}\.){3}\d{1,3})")
_RANDOM = re.compile(r"(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[\w.+/=-]{16,500}")
_HOME = re.compile(r"(?<![\w.~])/(?:home|Users)/[^\s/\"'<>:|;,&]+|\b[A-Za-z]:\\Users\\[^\s\\\"'<>:|;,&]+")
_PART = r"[^\s/\"'`<>|:;,(){}\[\]=*?]"
_PATH = re.compile(
    r"(?<=[\"'])/[^\"'\n<>]{1,300}/[^\"'\n<>]{0,300}(?=[\"'])"  # "/a b/c.txt"
    rf"|(?:(?<=file://)|(?<![\w.~/<\\\-…\]]))/(?:{_PART}+/)+(?:{_PART}*)"  # /a/b.txt
    r"|\b[A-Za-z]:\\+Users\\+[^\\\n\"'<>|:*?]{1,64}\\+(?:[^\s\\\"'<>|:*?]+\\+)*[^\s\\\"'<>|:*?,;)]*"
    r"|(?<![\w])[A-Za-z]:\\(?:[^\s\\\"'<>|:*?]+\\)+[^\s\\\"'<>|:*?,;)]*"  # C:\a\b.txt
    r"|(?<![\w\\])\\\\[\w.-]+\\[^\s\"'<>|]+"  # \\server\share
    rf"|(?<![\w/])~[a-z_][\w-]*/(?:{_PART}*/)*{_PART}*"  # ~name/b.txt
)
_LOGIN = re.compile(
    r"(?<![\w.+@/-])(?!git@)[A-Za-z_][\w.+-]{0,63}@(?:(?:\d{1,3}\.){3}\d{1,3}\b"
    r"|(?=[\w-]{0,62}[A-Za-z])[A-Za-z0-9][\w.-]{0,253})"
)
_HOST = re.compile(
    r"(?i:\b(host(?:name)?|node(?:name|list)?)(\s?[=:]\s?[\"']?))([A-Za-z][\w.-]*[\w])"
    r"|()()(?<![\w.@/-])([A-Za-z0-9][\w.-]{0,253}\.(?:local|internal|lan|corp|intranet|cluster|localdomain))\b"
)


def mask_text(text: str, values: Iterable[str] = (), hosts: Iterable[str] = ()) -> str:
    """Return a sentence without secrets, users, hosts and the folders of this machine; a file keeps its name.

    values: secrets that are known. hosts: names of this machine.
    """
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= 4:
            text = text.replace(value, SECRET)
    text = _mask_secrets(text)
    text = _SETTING.sub(_mask_assignment, text)
    if "/" in text or "\\" in text:
        text = _PATH.sub(lambda match: _mask_path(match[0]), text)
    if "@" in text:
        text = _LOGIN.sub("[user]", text)
    text = _NAMED.sub(rf"\g<before>{SECRET}", text)
    text = _MASTER.sub(r"\1[host]", _NAMED_USER.sub(r"\1[user]", text))
    text = _HOST.sub(lambda match: f"{match[1] or ''}{match[2] or ''}[host]", text)
    for host in hosts:
        text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", "[host]", text)
    return text


def mask_page(text: str) -> str:
    """Return a whole page or file without tokens, passwords of addresses and home folders."""
    text = _mask_secrets(text)
    if "/home/" in text or "Users" in text:
        text = _HOME.sub("…", text)
    return text


def _mask_secrets(text: str) -> str:
    if _any_literal().search(text):
        for shape in shapes():
            if any(literal in text for literal in shape.literals):
                text = shape.pattern.sub(SECRET, text)
    if "://" in text:
        text = _QUERY.sub(rf"\1={SECRET}", _USER_INFO.sub(SECRET, text))
    return text


@cache
def _any_literal() -> re.Pattern[str]:
    """Return a pattern of the words of all shapes; nearly every text has none of them."""
    return re.compile("|".join(sorted({re.escape(word) for shape in shapes() for word in shape.literals})))


def _mask_assignment(match: re.Match[str]) -> str:
    name, value = match["name"] or match["option"], match["value"] or match["word"]
    bare = value.strip("\\\"'")
    # "token": "…" of a JSON file, where a sentence has no quotes
    access = _names_access(name) or (
        value != bare and name.lower() != "key" and _RANDOM.fullmatch(bare) is not None
    )
    if not access or not looks_secret(name, bare):
        return match[0]
    return f"{match[0][: -len(value)]}{SECRET}"


def _names_access(name: str) -> bool:
    """Whether a name in the middle of a text is that of a setting: `key: rotary` is a sentence."""
    return name.isupper() or len(_WORD.findall(name)) > 1 or bool(_ALWAYS & {name.upper()})


def _mask_path(path: str) -> str:
    """Return a path's last part alone; of a home folder, nothing."""
    return "…" if re.fullmatch(r"/(?:home|Users)/[^/]+/?", path) else f"…/{_file_name(path)}"


def _file_name(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


# Settings -------------------------------------------------------------------------------------------

_PLACE = re.compile(r"\[dir-[0-9a-f]{4}\]/")


def mask_setting(name: str, value: str) -> str:
    """Return a setting as a record keeps it.

    A path keeps its file's name and a mark that tells its folder from others (16 bits of its hash, too few to
    find the folder by), so that two runs from different weights stay two experiments.
    """
    if looks_secret(name, value):
        return SECRET
    if _is_path(value):
        folder, _, file = value.replace("\\", "/").rstrip("/").rpartition("/")
        return f"[dir-{hashlib.sha256(folder.encode('utf-8', 'replace')).hexdigest()[:4]}]/{file}"
    return mask_text(value)


def mask_settings(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: mask_setting(name, value) for name, value in settings.items()}


def mask_secret_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings without secrets alone: a file of this machine keeps where its data lies."""
    return {name: mask_secret_setting(name, value) for name, value in settings.items()}


def mask_secret_setting(name: str, value: str) -> str:
    return SECRET if looks_secret(name, value) else _mask_secrets(value)


def secret_values(*settings: Mapping[str, str]) -> set[str]:
    """Return the values among settings that are secret, to be found in other texts."""
    return {value for one in settings for name, value in one.items() if looks_secret(name, value)}


def is_masked(value: str) -> bool:
    """Whether a value, or a part of it, is a mark that stands for what was left out."""
    return SECRET in value or _PLACE.match(value) is not None


def mask_secret_words(words: Iterable[str]) -> tuple[str, ...]:
    """Return a program's options without secrets alone: `--hf-token VALUE`, a known form of token."""
    masked: list[str] = []
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        if equals and looks_secret(name, value):
            masked.append(f"{name}={SECRET}")
        else:
            masked.append(mask_secret_setting(option, word))
        option = word if word.startswith("-") and not equals else ""
    return tuple(masked)


def is_private(name: str, value: str) -> bool:
    """Whether a setting is, or was before it was masked, one of this machine alone."""
    return is_masked(value) or mask_setting(name, value) != value


def mask_words(words: Iterable[str], values: Iterable[str] = ()) -> tuple[str, ...]:
    """Return a command without secrets and places: NAME=VALUE words as settings, a script by its name."""
    masked, known = [], tuple(values)
    for word in mask_secret_words(words):
        name, equals, value = word.partition("=")
        if equals and re.fullmatch(r"[A-Za-z_][\w.-]*", name):
            masked.append(f"{name}={mask_setting(name, value)}")
        elif _is_path(word):
            masked.append(_file_name(word))
        else:
            masked.append(mask_text(word, known))
    return tuple(masked)


def _is_path(value: str) -> bool:
    return re.match(r"(?:/|[A-Za-z]:[\\/]|\\\\|~[\w-]*/)[^\n]*[/\\]?[^\n]", value) is not None and (
        value.count("/") + value.count("\\") > 1
    )


# Looking ----------------------------------------------------------------------------------------------

_COMMON_HOSTS = {"localhost", "localhost.localdomain", "debian", "ubuntu", "docker", "runner", "node", "host"}


@cache
def own_hosts() -> tuple[str, ...]:
    """Return the names of this machine by which a log may call it; none that is a common word."""
    name = socket.gethostname()
    names = (name, name.split(".")[0])
    return tuple(dict.fromkeys(n for n in names if len(n) >= 4 and n.lower() not in _COMMON_HOSTS))


def secrets_of_code(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Yield where code holds a secret, `train.py line 12`, and its kind."""
    for name, content in files.items():
        text = content.decode("utf-8", "replace")
        for leak, at in _find_secrets(text):
            yield f"{name} line {text.count(chr(10), 0, at) + 1}", leak.kind


def _find_secrets(text: str) -> Iterator[tuple[Leak, int]]:
    """Yield secrets that are known by their form, and where they begin."""
    for shape in shapes():
        if any(literal in text for literal in shape.literals):
            yield from ((Leak(shape.kind, _shorten(m[0])), m.start()) for m in shape.pattern.finditer(text))
    for match in _USER_INFO.finditer(text):
        if ":" in match[0]:
            yield Leak("password in an address", _shorten(match[0])), match.start()


def find_leaks(text: str, hosts: Iterable[str] = (), users: Iterable[str] = ()) -> Iterator[Leak]:
    """Yield what a text holds of this kind, secrets shortened. hosts, users: names of this machine."""
    yield from (leak for leak, _ in _find_secrets(text))
    for match in _SETTING.finditer(text):
        if _mask_assignment(match) != match[0]:
            yield Leak("setting that is named as a secret", match["name"] or match["option"])
    for match in _NAMED.finditer(text):
        if match["key"] != SECRET:
            yield Leak("key that is named as one", _shorten(match["key"]))
    for match in _NAMED_USER.finditer(text):
        yield Leak("user name", match[2])
    for match in _PATH.finditer(text):
        yield Leak("absolute path", match[0])
    for match in _LOGIN.finditer(text):
        yield Leak("user and host", match[0])
    for kind, names in (("host name", hosts), ("user name", users)):
        for name in names:
            if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
                yield Leak(kind, name)


def _shorten(secret: str) -> str:
    return f"{secret[:4]}…" if len(secret) > 8 else "…"
