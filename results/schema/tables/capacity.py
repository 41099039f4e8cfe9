"""What happened at each rate that the search for a server's limit offered it."""

from __future__ import annotations

import enum

from loopbench.results.schema.columns import count, flag, key, number, ordinal, table, text


class Taker(enum.StrEnum):
    """Who had the time of the server's CPUs in its place, by the column of trials.csv that tells
    for which share of a trial."""

    HYPERVISOR = "stolen_share"
    PROGRAMS = "others_share"


TRIALS = table(
    "trials",
    "A row a trial of `make capacity`: one open loop, at one rate, to one server, while the "
    "servers of all stacks were alive. The objective is held where `slow` is at most "
    "`allowed_share` of `offered`.",
    key("stack", "the stack that was loaded"),
    ordinal("turn", "Turn, from 1: one trial of every stack"),
    ordinal("position", "place of the trial within its Turn"),
    text("started_at", "UTC, ISO 8601"),
    text("case", "the request, a case of the contract or of a person's application"),
    number("arrival_rate_rps", "1/s", "mean rate of the Poisson arrivals", required=True),
    number("limit_ms", "ms", "the objective: response time that is to be kept", required=True),
    number(
        "allowed_share",
        "1",
        "the objective: share of the requests that may take longer, 0.01 for p99",
        required=True,
    ),
    number("lead_in_s", "s", "arrivals before the counted window", required=True),
    number("seconds", "s", "length of the counted window", required=True),
    count("offered", "arrivals that were due in the window", required=True),
    count(
        "slow",
        "of these, those that failed, took longer than limit_ms from their intended start, or were "
        "never answered",
        required=True,
    ),
    count("failures", "of these, those that failed"),
    number(
        "service_least_us",
        "us",
        "the shortest time a request with which one thread, serving the same arrivals in their "
        "order, would have had as many slow; blank where none was",
    ),
    number(
        "service_most_us",
        "us",
        "the longest such time; blank where all were slow. trial_services.csv has other queues",
    ),
    number("response_time_p50_ms", "ms", "of the right answers, from the intended start"),
    number("response_time_p99_ms", "ms", "likewise"),
    number("generator_cpu_utilisation", "1", "CPU time of the generator over wall time"),
    number("generator_lag_p99_ms", "ms", "lateness of a timer in the generator"),
    number(
        Taker.HYPERVISOR.value,
        "1",
        "share of the trial for which the hypervisor ran others in place of the server's CPUs, as "
        "it tells, in steps of 10 ms; blank where the server has no CPUs of its own",
        later=True,
    ),
    number(
        Taker.PROGRAMS.value,
        "1",
        "share of the trial for which other programs had the server's CPUs while the server was "
        "ready to run; blank where it has no CPUs of its own, or the kernel does not tell",
        later=True,
    ),
    flag(
        "generator_limited",
        "whether the generator ran out of CPU, or lagged: the trial says nothing of the server",
        required=True,
    ),
)

TRIAL_SERVICES = table(
    "trial_services",
    "What each trial of `make capacity` tells of the server, were it a queue of a given kind. "
    "Requests wait in the order of arrival for the first thread that is free. The arrivals of the "
    "trial are known; with a service between the two as many of them would have been slow.",
    key("stack", "the stack that was loaded"),
    ordinal("turn", "as in trials.csv"),
    ordinal("threads", "of the queue"),
    number(
        "variation",
        "1",
        "standard deviation of a request's service over the mean; 0: all are equal",
        required=True,
    ),
    number(
        "wait_share",
        "1",
        "for which a request waits beside the queue, over the limit of the objective; 0: it does "
        "not",
        later=True,
    ),
    number(
        "service_least_us",
        "us",
        "the shortest mean service, for which a request holds a thread; blank where none was slow",
    ),
    number("service_most_us", "us", "the longest; blank where all were slow"),
    number(
        "luck",
        "1",
        "standard deviation of the services' logarithm by what the requests of the trial were "
        "drawn to be",
        required=True,
    ),
)
