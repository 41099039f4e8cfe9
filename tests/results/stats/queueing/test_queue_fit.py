"""The fit of queues to trials: the service of each kind is the most likely one."""

from __future__ import annotations

import numpy as np
import pytest

from loopbench.loadtests.selfcheck.simulated import SHARE, Server
from loopbench.results.stats.queueing import queue_fit
from loopbench.results.stats.queueing.queues import Queue, draws


@pytest.mark.parametrize("queue", [Queue(1), Queue(1, 1.0), Queue(6)])
def test_no_other_service_is_more_likely(queue: Queue) -> None:
    """Of no kind and deviation, whether the service is a thousandth longer or shorter."""
    server = Server(2e-3 * queue.threads, 0.05, 3, queue)
    trials = [server.trial(float(rate)) for rate in np.geomspace(300, 560, 12)]
    kinds = [kind for kind in trials[0].spans if all(kind in one.spans for one in trials)]
    rates = np.log([one.rate_rps for one in trials])
    drawn = np.array([draws(one.rate_rps * one.window.length_s) for one in trials])
    spans = [[one.spans[kind] for one in trials] for kind in kinds]
    told = queue_fit._LogSpans.of(spans, rates, drawn)
    best = told.best()
    logs = {step: told.likelihood(best + step)[2].sum(axis=-1) for step in (-1e-3, 0.0, 1e-3)}
    assert np.isfinite(logs[0.0]).all()
    assert (logs[0.0] >= np.maximum(logs[-1e-3], logs[1e-3])).all()
    assert queue_fit.fit(trials, SHARE).error > 0
