"""URLs of stores: what is refused, what may be written down, where a password may come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

DATABASE_SCHEMES = ("postgresql", "postgres")
REDIS_SCHEMES = ("redis", "rediss", "unix")
UPSTREAM_SCHEMES = ("http", "https")

PASSWORD_VARIABLES = {"database_url": "PGPASSWORD", "redis_url": "REDISCLI_AUTH"}
"""By setting: the variable that the store's own command-line client takes its password from."""

UNREADABLE = "the client of the store does not understand the path or the query of the URL"

_ENCODE = "a password with / ? # @ % & or a space in it needs percent-encoding, as in %40 for @"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(:(?P<port>[0-9]{1,5}))?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f]")

_CREDENTIALS = re.compile(r"(\b[\w+.-]+://).*@", re.DOTALL)
_IN_QUERY = re.compile(r"[?&](?P<name>[^=&?\s]*)=")


def problem(url: str, schemes: tuple[str, ...]) -> str | None:
    """Why a URL is refused, in words that hold nothing of it; None for a sound one.

    Refused is what different readers would split in different ways, so that a
    part of the password could pass for a host, a path or a query that is
    written down.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in schemes or not rest:
        return f"it takes a URL as in {schemes[0]}://127.0.0.1"
    authority, path = re.fullmatch(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    if _UNPRINTABLE.search(url) or _BAD_ESCAPE.search(url) or "#" in url:
        return f"the URL holds a space, a #, or a % that is no escape; {_ENCODE}"
    if "@" in path or authority.count("@") > 1:
        return f"the URL holds an @ too many, or one behind a slash or question mark; {_ENCODE}"
    hosts = [_HOST.fullmatch(address) for address in authority.rpartition("@")[2].split(",")]
    if not all(host and int(host["port"] or 1) in range(1, 65_536) for host in hosts):
        return f"the URL has no host and port that can be read; {_ENCODE}"
    _, asked, query = path.partition("?")
    if asked and not all(key and joined for key, joined, _ in _pairs(query)):
        return f"the URL has a query that is not of the form name=value; {_ENCODE}"
    return None


def readable(url: str) -> bool:
    """Whether the clients that are going to use a store's URL understand it: the names and values
    of its query, and the number of Redis's database. What they say would show parts of it."""
    if url.partition("://")[0] in DATABASE_SCHEMES:
        import psycopg

        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            return False
        return True
    from redis.connection import parse_url

    try:
        parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        return False
    return True


def without_password(url: str) -> str:
    """A URL as it may be written down: without user, password, and options about passwords.

    PostgreSQL's and Redis's may have a password in their query, too. What comes
    before the last @ goes, wherever it stands, so that a URL that would be
    refused does not show its password either.
    """
    scheme, joined, rest = url.partition("://")
    place, asked, query = rest.rpartition("@")[2].partition("?")
    kept = [name + joint + value for name, joint, value in _pairs(query) if not _is_secret(name)]
    return scheme + joined + place + (asked if kept else "") + "&".join(kept)


def with_password_of(environment: Mapping[str, str], setting: str, url: str) -> str:
    """The URL with the password that the environment holds for its store, where it has none.

    Put into the URL, it also reaches servers on another host. PGPASSFILE is left to the
    drivers, which both know it.
    """
    password = environment.get(PASSWORD_VARIABLES[setting], "")
    if not password or _has_password(url):
        return url
    return f"{url}{'&' if '?' in url else '?'}password={quote(password, safe='')}"


def without_secrets(text: str) -> str:
    """A word of a command, or a message about one, without the credentials of a URL in it.

    Rather too much goes than too little.
    """
    bare = _CREDENTIALS.sub(r"\1", text)
    secrets = (part.end() for part in _IN_QUERY.finditer(bare) if _is_secret(part["name"]))
    return bare[: next(secrets, None)]


def _has_password(url: str) -> bool:
    authority, _, query = url.partition("://")[2].partition("?")
    credentials = authority.rpartition("@")[0]
    return ":" in credentials or any(unquote(name) == "password" for name, _, _ in _pairs(query))


def _is_secret(name: str) -> bool:
    return "pass" in unquote(name).lower()


def _pairs(query: str) -> list[tuple[str, str, str]]:
    return [pair.partition("=") for pair in query.split("&")]
