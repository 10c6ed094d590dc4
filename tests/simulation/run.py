"""Run scenarios and judge them: ``make simulate RUNS=20000``, or ``make simulate SEED=17`` for one with its trace."""

from __future__ import annotations

import argparse
import hashlib
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from tests.simulation.engine import RealEngine
from tests.simulation.loop import BEGINNING
from tests.simulation.mutations import MUTATIONS
from tests.simulation.network import Call
from tests.simulation.oracle import judge
from tests.simulation.scenario import HINTS, LONG_LIST, THEMES, TOGETHER, WATCHERS, draw
from tests.simulation.scenario_run import Record, Session, simulate

Themes = frozenset[str]
NO_THEMES: Themes = frozenset()
SHOWN = 10


@dataclass(frozen=True)
class Report:
    """The result of one run.

    :param seed: its seed.
    :param title: the scenario in one line.
    :param violations: the rule and the text of each violation.
    :param waits: the number of waits.
    :param calls: the number of calls.
    :param seconds: its length in virtual time.
    :param digest: a digest of its trace.
    """

    seed: int
    title: str
    violations: tuple[tuple[str, str], ...]
    waits: int
    calls: int
    seconds: float
    digest: str = ""


def run_seed(seed: int, *, size: str | None = None, themes: Themes = NO_THEMES, mutation: str = "") -> Report:
    """Run one scenario and judge it.

    :param seed: the same seed is the same run.
    :param size: the size of the scenario; None for the one that the seed draws.
    :param themes: themes in addition to those that the seed draws.
    :param mutation: the mistake to put into the code under test; empty for none.
    :return: the result.
    """
    return run_and_record(seed, size=size, themes=themes, mutation=mutation)[0]


def run_and_record(
    seed: int, *, size: str | None = None, themes: Themes = NO_THEMES, mutation: str = ""
) -> tuple[Report, Record | None]:
    """Run one scenario, and keep its record.

    :param seed: the same seed is the same run.
    :param size: the size of the scenario; None for the one that the seed draws.
    :param themes: themes in addition to those that the seed draws.
    :param mutation: the mistake to put into the code under test; empty for none.
    :return: the result, and the record if the run came to an end.
    """
    scenario = draw(seed, size=size, themes=themes)
    with ExitStack() as stack:
        if mutation:
            stack.enter_context(MUTATIONS[mutation].applied())
        try:
            record = simulate(scenario, RealEngine())
        except AssertionError as error:
            broken = (type(error).__name__, str(error))
            return Report(seed, str(scenario), (broken,), len(scenario.waits), 0, 0.0), None
    found = tuple((violation.rule, str(violation)) for violation in judge(record))
    seconds = record.ended_at - BEGINNING
    digest = hashlib.sha256("\n".join(trace(record)).encode()).hexdigest()
    return Report(seed, str(scenario), found, len(scenario.waits), len(record.calls), seconds, digest), record


def trace(record: Record) -> Iterator[str]:
    """Yield what happened, in order.

    :param record: the record of a run.
    """
    entries: list[tuple[float, int, str]] = []

    def add(moment: float, text: str) -> None:
        entries.append((moment, len(entries), text))

    for call in record.calls:
        add(call.departed_at, f"{call.triggerer} calls {call.account}: {_asked(call)}")
        if call.ended_at < float("inf"):
            add(call.ended_at, f"{call.triggerer} has the response: {_answer(call)}")
    for session in record.sessions:
        add(session.begins, f"{session.plan.name} joins {session.triggerer}: {_options(session)}")
        add(session.ends, f"{session.plan.name} on {session.triggerer}: {_end(session)}")
    for watch in (watch for watcher in record.watchers for watch in watcher.sessions):
        watched_by, where = watch.plan, f"{watch.plan.name} on {watch.triggerer}"
        intervals = f"poke_interval={watched_by.poke_interval:g}, reconcile_seconds={watched_by.reconcile_seconds:g}"
        add(watch.begins, f"{watched_by.name} joins {watch.triggerer}: {watched_by.account}, {intervals}")
        for report in watch.reports:
            add(report.at, f"{where} reports {report.name[1]} {report.status} ({report.id[:6]})")
        add(watch.ends, f"{where}: {watch.ended}")
    for plan in record.scenario.accounts:
        watched = {
            number.casefold()
            for session in record.sessions
            if session.plan.account == plan.name
            for number in _numbers(session)
        }
        for parcel in plan.parcels:
            for state in parcel.states if parcel.name[1] in watched else ():
                updated = "null" if state.updated_at is None else f"{state.updated_at - BEGINNING:.1f}"
                hidden = (
                    "" if state.in_list and state.in_numbers else f" list={state.in_list} numbers={state.in_numbers}"
                )
                status = state.status or "unregistered"
                add(state.since, f"  ({'/'.join(parcel.name)} becomes {status}, updated_at {updated}{hidden})")
        for since, key in plan.connection:
            add(since, f"  (the connection of {plan.name} has {key})")
        for key, revoked in plan.keys.items():
            add(revoked, f"  ({key} is revoked)")
        for fault in plan.faults:
            add(fault.begins, f"  (fault at {plan.name}: {fault})")
    for hint in record.scenario.hints:
        shown = ", ".join(number for _, number in hint.names[:6])
        add(hint.at, f"  ({len(hint.names)} hints for {hint.account}: {shown})")
    for number, outages in enumerate(record.scenario.outages):
        for begins, ends, other in outages:
            add(begins, f"  (triggerer {number} dies, until {ends - BEGINNING:.1f}; its waits go to {other})")
    for moment, _, text in sorted(entries):
        yield f"{moment - BEGINNING:10.3f}  {text}"


def _asked(call: Call) -> str:
    if call.kind == "numbers":
        return f"{len(call.numbers)} numbers ({', '.join(sorted(call.numbers)[:6])})"
    return f"{call.kind} {call.query}"


def _answer(call: Call) -> str:
    shown = ", ".join(f"{parcel.name[1]} {state.status}" for parcel, state in call.shown[:6])
    return f"{call.result} {call.code or ''} {call.cause} [{len(call.shown)}: {shown}]"


def _numbers(session: Session) -> list[str]:
    orders = session.plan.options.get("orders") or {None: session.plan.options["shipments"]}
    return [number for own in orders.values() for _, number in own]


def _options(session: Session) -> str:
    options = session.plan.options
    moments = {
        name: options[name] - BEGINNING for name in ("deadline", "first_check_at") if options.get(name) is not None
    }
    shown = ", ".join(f"{name}={value}" for name, value in ({**options, **moments}).items())
    return shown if len(shown) < 600 else shown[:600] + " ..."


def _end(session: Session) -> str:
    verdict = "" if session.verdict is None else f" {session.verdict.result}: {session.verdict.reason}"
    return f"{session.ended}{verdict}" + ("" if session.error is None else f" {session.error!r}")


# The command ---------------------------------------------------------------------------------------------------------


def themes_of(seed: int) -> Themes:
    """Return the additional themes of a run among many: every fourth one has hints, and every fourth one has watchers.

    Half of the runs with watchers have hints as well.

    :param seed: its seed.
    """
    return frozenset({HINTS} if seed % 4 == 3 else ()) | frozenset({WATCHERS} if seed % 8 in (3, 5) else ())


def _run_job(job: tuple[int, str | None, Themes, str]) -> Report:
    seed, size, themes, mutation = job
    return run_seed(seed, size=size, themes=themes, mutation=mutation)


def main(arguments: list[str]) -> int:
    """Run the command.

    :param arguments: its arguments.
    :return: the exit status: 1 if there is a violation.
    """
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="how many scenarios")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one, with its trace")
    parser.add_argument("--size", choices=("small", "busy", "large"), help="the size of every scenario")
    parser.add_argument(
        "--themes",
        nargs="+",
        choices=(*THEMES, LONG_LIST, TOGETHER, HINTS, WATCHERS),
        default=(),
        help="additional themes of every scenario",
    )
    parser.add_argument("--mutate", choices=sorted(MUTATIONS), default="", help="break the code under test first")
    parser.add_argument("--mutations", action="store_true", help="put every known mistake back, one at a time")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="the number of processes")
    chosen = parser.parse_args(arguments)
    themes = frozenset(chosen.themes)
    logging.disable(logging.CRITICAL)
    if chosen.mutations:
        return _try_mutations(chosen.jobs)
    if chosen.seed is not None:
        return _replay(chosen.seed, chosen.size, themes, chosen.mutate)
    began = time.monotonic()
    seeds = range(chosen.first, chosen.first + chosen.runs)
    jobs = ((seed, chosen.size, themes | themes_of(seed), chosen.mutate) for seed in seeds)
    rules: Counter[str] = Counter()
    failed: list[Report] = []
    runs = waits = calls = 0
    seconds = 0.0
    with multiprocessing.Pool(chosen.jobs) as pool:
        for report in pool.imap(_run_job, jobs, chunksize=4):
            runs, waits, calls = runs + 1, waits + report.waits, calls + report.calls
            seconds += report.seconds
            if runs % 500 == 0:
                print(
                    f"{runs} runs, {len(failed)} failed, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True
                )
            if not report.violations:
                continue
            failed.append(report)
            rules.update({rule for rule, _ in report.violations})
            if len(failed) <= SHOWN or chosen.keep_going:
                print(f"\nFAILED: {report.title}")
                for _, text in report.violations[:4]:
                    print(f"  {text}")
            if not chosen.keep_going:
                asked = " ".join(f'"{theme}"' for theme in sorted(themes | themes_of(report.seed)))
                print(f"\nReplay it: make simulate SEED={report.seed}" + f" ARGS='--themes {asked}'" * bool(asked))
                pool.terminate()
                break
    print(
        f"\n{runs} runs, {waits} waits, {calls} calls, {seconds / 3600:.0f} virtual hours in "
        f"{time.monotonic() - began:.0f} s; {len(failed)} runs failed {dict(rules) if rules else ''}"
    )
    return 1 if failed else 0


def _run_mutation(name: str) -> tuple[Report, Report]:
    """Run the scenario that shows a mistake, without it and with it."""
    chosen = MUTATIONS[name]
    sound = run_seed(chosen.seed, size=chosen.size, themes=chosen.themes)
    return sound, run_seed(chosen.seed, size=chosen.size, themes=chosen.themes, mutation=name)


def _try_mutations(jobs: int) -> int:
    unnoticed = 0
    row = "{:6} {:39} {:>5}  {:6} {:34} {}"
    print(row.format("number", "mistake", "seed", "size", "themes", "rules broken"))
    with multiprocessing.Pool(jobs) as pool:
        for name, (sound, broken) in zip(MUTATIONS, pool.imap(_run_mutation, MUTATIONS), strict=True):
            chosen = MUTATIONS[name]
            rules = sorted({rule for rule, _ in broken.violations})
            found = ", ".join(rules) or "NONE"
            if sound.violations:
                found += "; FAILS WITHOUT THE MISTAKE"
            unnoticed += bool(sound.violations) or not chosen.rules & set(rules)
            print(row.format(name, chosen.text, chosen.seed, chosen.size, ", ".join(sorted(chosen.themes)), found))
    print(f"\n{len(MUTATIONS)} mistakes, {unnoticed} not noticed")
    return 1 if unnoticed else 0


def _replay(seed: int, size: str | None, themes: Themes, mutation: str) -> int:
    report, record = run_and_record(seed, size=size, themes=themes, mutation=mutation)
    if record is not None:
        for line in trace(record):
            print(line)
    print(f"\n{report.title}\n{report.waits} waits, {report.calls} calls, trace {report.digest[:16]}")
    for _, text in report.violations:
        print(f"  {text}")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
