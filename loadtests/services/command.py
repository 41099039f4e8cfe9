"""`python -m loadtests services`: Redis and PostgreSQL until Ctrl-C."""

from __future__ import annotations

import time

import click

from loopbench.loadtests.services.services import postgres_server, redis_server

_POLL_S = 3600.0
_SCHEMES = {"--redis": ("redis", "rediss", "unix"), "--database": ("postgresql", "postgres")}


def stores_of(redis: str | None, database: str | None) -> dict[str, str]:
    """The stores that are named, by their name in Settings. Raises UsageError for a URL of
    something else."""
    given = {"--redis": ("redis_url", redis), "--database": ("database_url", database)}
    named = {}
    for option, (setting, url) in given.items():
        if url is None:
            continue
        if url.partition("://")[0] not in _SCHEMES[option] or not url.partition("://")[2]:
            raise click.UsageError(f"{option} takes a URL as in {_SCHEMES[option][0]}://127.0.0.1")
        named[setting] = url
    return named


@click.command()
def services() -> None:
    """Run Redis and PostgreSQL on loopback until Ctrl-C, and print their URLs.

    Both are the machine's own packages. Their data is in a temporary folder
    and goes with them.
    """
    with redis_server() as redis, postgres_server() as postgres:
        click.echo(f"Redis       {redis.url}")
        click.echo(f"PostgreSQL  {postgres.url}")
        click.echo(
            "Use them in another terminal:\n"
            f"  python -m loadtests bench --redis {redis.url} --database {postgres.url}\n"
            f"  python -m servers run aiohttp --redis-url {redis.url} "
            f"--database-url {postgres.url}\n"
            "Ctrl-C stops both and removes their data."
        )
        while True:
            time.sleep(_POLL_S)
