"""A plugin of pytest for `make coverage`: each worker writes what it has traced before it says
that it is done.

pytest-xdist gives a worker ten seconds for its end, and then kills it. On a busy machine to write
takes longer, and whatever the worker's tests have reached would be missing without a word.
"""

from __future__ import annotations

import coverage


def pytest_sessionfinish() -> None:
    """See the module."""
    traced = coverage.Coverage.current()
    assert traced is not None, "this plugin is for `coverage run -m pytest`"
    traced.save()
