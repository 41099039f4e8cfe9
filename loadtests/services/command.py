"""`python -m loadtests services`: Redis and PostgreSQL until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import time

import click

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.services.services import Service, postgres_server, redis_server
from loopbench.servers.store_urls import (
    DATABASE_SCHEMES,
    REDIS_SCHEMES,
    UNREADABLE,
    problem,
    readable,
    with_password_of,
)
from loopbench.servers.supervision import own_modules

_POLL_S = 0.5
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
        _wait_for_the_last({"Redis": redis, "PostgreSQL": postgres})


def _wait_for_the_last(running: dict[str, Service]) -> None:
    """Until none runs any more, saying of each when it has ended. Raises HarnessError then."""
    while running:
        time.sleep(_POLL_S)
        for name in [name for name, service in running.items() if not service.alive]:
            del running[name]
            click.echo(f"{name} has ended by itself; its data are gone", err=True)
    raise HarnessError("neither store runs any more: start them anew")
