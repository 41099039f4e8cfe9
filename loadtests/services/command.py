"""`python -m loadtests services`: Redis and PostgreSQL until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import time

import click

from loopbench.loadtests.services.services import postgres_server, redis_server
from loopbench.servers.store_urls import (
    DATABASE_SCHEMES,
    REDIS_SCHEMES,
    UNREADABLE,
    problem,
    readable,
    with_password_of,
)
from loopbench.servers.supervision import own_modules

_POLL_S = 3600.0
_SCHEMES = {"--redis": REDIS_SCHEMES, "--database": DATABASE_SCHEMES}


def stores_of(redis: str | None, database: str | None) -> dict[str, str]:
    """The stores that are named, by their name in Settings, with passwords from the environment.

    Raises UsageError, whose message holds nothing of the URL, for one that is refused.
    """
    given = {"--redis": ("redis_url", redis), "--database": ("database_url", database)}
    named = {}
    for option, (setting, url) in given.items():
        if url is None:
            continue
        wrong = problem(url, _SCHEMES[option])
        if wrong is not None:
            raise click.UsageError(f"{option}: {wrong}")
        if not readable(url):
            raise click.UsageError(f"{option}: {UNREADABLE}")
        named[setting] = with_password_of(os.environ, setting, url)
    return named


@click.command(short_help="Run Redis and PostgreSQL for the servers.")
def services() -> None:
    """Run Redis and PostgreSQL on loopback until Ctrl-C, and print their URLs.

    Both are the machine's own packages. Their data is in a temporary folder
    and goes with them.
    """
    bench, servers = (shlex.join(own_modules.pasted(name)) for name in ("loadtests", "servers"))
    with redis_server() as redis, postgres_server() as postgres:
        click.echo(f"Redis       {redis.url}")
        click.echo(f"PostgreSQL  {postgres.url}")
        click.echo(
            "Use them in another terminal:\n"
            f"  {bench} bench --redis {redis.url} --database {postgres.url}\n"
            f"  {servers} run aiohttp --redis-url {redis.url} "
            f"--database-url {postgres.url}\n"
            "Ctrl-C stops both and removes their data."
        )
        while True:
            time.sleep(_POLL_S)
