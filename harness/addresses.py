"""Addresses of stores, storages and schedulers, as they may be shown: without the secrets that they carry.

Whatever prints, logs, tags, writes or raises an address passes it through :func:`masked`, and whatever does so with the
words of a library, which may hold an address or its password, through :func:`clean`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

MASK = "***"
_PASSWORD = re.compile(r"[^:/?#@\s]*:(?P<password>[^@]*(?:@[^@?#]*(?=@))*)@")
"""User and password before a host. A password may hold anything but "@", and even that is forgiven."""
_PORT = re.compile(r"[^:/?#@\s]*:\d+[/?#]")
_TOKEN = re.compile(r"(?P<password>[^:/?#@\s]+)@")
_HARMLESS = frozenset(
    {
        "application_name",
        "cache",
        "charset",
        "connect_timeout",
        "driver",
        "host",
        "immutable",
        "mode",
        "port",
        "sslcert",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
        "timeout",
        "uri",
        "workflowType",
    }
)
"""Settings in the query of an address that are shown; the value of any other may be a secret."""
_IN_TEXT = re.compile(r"(?<![\w+.-])[A-Za-z][\w+.-]*://[^\s'\"<>`]+")
_WITHOUT_USER = ("sqlite", "file")
_FROM_ENVIRONMENT = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD")
_ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
_SHORT = 4
"""A secret of fewer characters is masked in addresses, but not looked for in other words: it would be found in many."""

_known: set[str] = set()


def masked(address: str) -> str:
    """The address with ``***`` for its password, for a token instead of the user, and for settings not known to be
    harmless. Never raises: malformed addresses are shown too, and may hold a password all the same.
    """
    scheme, mark, rest = address.partition("://")
    if not mark:
        return re.sub(r":[^:@/\s]+@", f":{MASK}@", address)  # the slashes were forgotten
    if (found := _user(scheme, rest)) is not None:
        rest = f"{rest[: found.start('password')]}{MASK}{rest[found.end('password') :]}"
        start = found.start("password") + len(MASK)
    else:
        start = 0
    where = rest.find("?", start)
    if where >= 0:
        query, hash_, fragment = rest[where + 1 :].partition("#")
        rest = f"{rest[:where]}?{'&'.join(map(_setting, query.split('&')))}{hash_}{fragment}"
    return f"{scheme}://{rest}"


def _user(scheme: str, rest: str) -> re.Match[str] | None:
    backend = scheme.partition("+")[0].lower()
    web = backend.endswith(("http", "https"))
    # A page's path may hold an "@", as in https://hub:8000/user/me@uni.org; a database's name does not.
    if backend.endswith(_WITHOUT_USER) or (web and _PORT.match(rest)):
        return None
    return _PASSWORD.match(rest) or (_TOKEN.match(rest) if web else None)


def _setting(text: str) -> str:
    name, equals, value = text.partition("=")
    if not text or name in _HARMLESS or value == MASK:
        return text
    return f"{name}={MASK}" if equals else MASK


def guard(address: str) -> None:
    """From here on :func:`clean` knows this address and its secrets. Those in MLflow's variables it knows by itself."""
    if "@" in address or "?" in address:
        _known.add(address)


def clean(text: str) -> str:
    """A text, such as what a library says of its failure, without the addresses' secrets in it."""
    known = {*_known, *filter(None, map(os.environ.get, _ADDRESSES))}
    for address in sorted(known, key=len, reverse=True):
        text = text.replace(address, masked(address))
    found = {secret for address in known for secret in _secrets(address)}
    found |= {value for name in _FROM_ENVIRONMENT if (value := os.environ.get(name))}
    spelled = {each for secret in found for each in _spellings(secret)}
    for secret in sorted(spelled, key=len, reverse=True):
        if len(secret) >= _SHORT and secret in text:
            before, after = (r"(?<!\w)" if secret[0].isalnum() else ""), (r"(?!\w)" if secret[-1].isalnum() else "")
            text = re.sub(f"{before}{re.escape(secret)}{after}", MASK, text)  # a word, and no part of one
    return _IN_TEXT.sub(_masked_in_text, text)


def _masked_in_text(found: re.Match[str]) -> str:
    address = found[0].rstrip(".,;:)]}")
    return masked(address) + found[0][len(address) :]


def _secrets(address: str) -> Iterable[str]:
    scheme, _, rest = address.partition("://")
    if (found := _user(scheme, rest)) is not None:
        yield found["password"]
        # Written raw, "p@ss" is taken for the password p at a host ss@..., which an error then names.
        yield from (f"{part}@" for part in found["password"].split("@")[1:])
    for setting in rest.partition("?")[2].partition("#")[0].split("&"):
        name, _, value = setting.partition("=")
        if name not in _HARMLESS:
            yield value


def _spellings(secret: str) -> set[str]:
    raw = {secret, unquote(secret), unquote_plus(secret)}
    return raw | {quote(each, safe="") for each in raw} | {quote_plus(each) for each in raw} | {quote(e) for e in raw}


def as_typed(words: Sequence[str]) -> str:
    """A command to be typed, quoted for a shell; where a password is masked, it says so."""
    shown = [masked(word) for word in words]
    hint = f"  # {MASK} stands for what is not shown" if shown != list(words) else ""
    return shlex.join(shown) + hint


def page_of(server: str) -> str:
    """The address of a server as it may stand in a link: without user, password and settings."""
    parts = urlsplit(server)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")


def fault(address: str) -> str | None:
    """What is wrong with the form of an address of the kind ``scheme://host:port``, in words; None if nothing is."""
    try:
        parts = urlsplit(address)
        if not parts.hostname:
            return "it names no host"
        if parts.port == 0:
            return "port 0 is not a port"
    except ValueError as error:
        said = str(error)
        return "its port is not a number from 1 to 65535" if "ort" in said else f"it is malformed ({said})"
    return None
