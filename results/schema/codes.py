"""Why a row should not be believed: the codes that stand in its `warnings`."""

from __future__ import annotations

import enum


class Code(enum.StrEnum):
    """Why a row should not be believed, or not without thought. Wording: results.stats.warnings."""

    GENERATOR_CPU = "generator-cpu"
    GENERATOR_LAG = "generator-lag"
    RATE_MISSED = "rate-missed"
    LITTLES_LAW = "littles-law"
    FAILURES = "failures"
    LEAD_IN_FAILURES = "lead-in-failures"
    CLOCK_STEPPED = "clock-stepped"
    CLOCK_USER = "clock-user"
    MACHINE_BUSY = "machine-busy"
    MACHINE_SPEED = "machine-speed"
    ONE_CPU = "one-cpu"
    CPUS_SHARED = "cpus-shared"
    NOT_PINNED = "not-pinned"
    ENVIRONMENT_DRIFT = "environment-drift"
    UNEQUAL_TERMS = "unequal-terms"
    NOT_VERIFIED = "not-verified"
    SERVER_NOT_READY = "server-not-ready"
    SERVER_DIED = "server-died"
    SERVER_NOT_READABLE = "server-not-readable"
    PROBE_FAILED = "probe-failed"
    GENERATOR_DIED = "generator-died"
    STOP_KILLED = "stop-killed"
    SAVES_DIFFER = "saves-differ"
    SAVES_UNCHECKED = "saves-unchecked"
    FEW_REQUESTS = "few-requests"
    ANSWER_VARIES = "answer-varies"
    WORKER_LOST = "worker-lost"
    WORKER_LATE = "worker-late"
    WORKER_SILENT = "worker-silent"
    WORKERS_SHARE_CPUS = "workers-share-cpus"
    UPSTREAM_DIED = "upstream-died"
    PARKED_BUSY = "parked-busy"
    CPU_THROTTLED = "cpu-throttled"


WARNING_SEPARATOR = ";"
