"""The rules for one wait: ``wrong``, ``publish``, ``deadline``, ``rotation``, ``late``, ``forgotten`` and ``crash``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tests.simulation import allowances
from tests.simulation.allowances import overlaps
from tests.simulation.belief import OPEN, Belief, Sighting
from tests.simulation.bounds import Bounds, Known
from tests.simulation.evidence import Evidence, Life, Violation, names_of, offset, poke_interval
from tests.simulation.network import Call
from tests.simulation.parcels import NOT_REGISTERED, Name
from tests.simulation.scenario_run import CONNECT_SECONDS, Session

Proof = tuple[Name, float, float]
"""The shipment that decides, since when, and the interval within which a check must show it."""


class WaitJudge:
    """Judges one session of a wait.

    :param evidence: what happened.
    :param session: the session.
    :param life: that of its triggerer at its account.
    """

    def __init__(self, evidence: Evidence, session: Session, life: Life) -> None:
        self.evidence = evidence
        self.session = session
        self.life = life
        self.vendor = evidence.record.vendors[session.plan.account]
        self.options = session.plan.options
        self.names = names_of(session)
        self.excused = life.excuses.of(self.names)
        self.uncertain: set[Name] = set()
        self.cached: dict[Name, str] = {}
        self.disputed: set[Name] = set()
        self.certain = Belief(self.options, settles_by_full=True)
        self.firsthand = Belief(self.options, settles_by_full=False)
        self.received = Belief(self.options, settles_by_full=False)
        self.possible = Belief(self.options, settles_by_full=False)
        self.bounds = Bounds(evidence, session, life, self.certain)

    def violations(self) -> Iterator[Violation]:
        session = self.session
        if session.ended == "crashed":
            yield self._violation("crash", f"ended by {type(session.error).__name__}: {session.error}")
            return
        if session.ended == "refused":
            yield from self._refused()
        yield from self._decided()
        if session.ended == "verdict":
            yield from self._verdict()
        yield from self._late()

    def _violation(self, rule: str, text: str) -> Violation:
        return Violation(rule, text, self.session)

    # What the wait was shown -----------------------------------------------------------------------------------------

    def _decided(self) -> Iterator[Violation]:
        """A wait ends as soon as it has been shown what decides it."""
        for at, certain, received, cached in self._answers():
            if at > self.session.ends:
                break
            self.possible.observe(cached | received)
            self.received.observe(received)
            self.firsthand.observe(certain)
            self.uncertain |= cached.keys() | (received.keys() - certain.keys())
            outcomes = {name: self.possible.outcome(name) for name in self.uncertain}
            self.cached |= {name: outcome for name, outcome in outcomes.items() if outcome not in OPEN}
            self.disputed |= {name for name, sighting in certain.items() if self._contradicts(name, sighting.status)}
            certain = {name: sighting for name, sighting in certain.items() if name not in self.disputed}
            if certain:
                self.certain.observe(certain)
            if self.certain.result != "waiting":
                if self.session.ends > at + allowances.PUBLISH_SECONDS:
                    yield self._violation(
                        "publish",
                        f"was shown at {offset(at)} what makes it {self.certain.result}, "
                        f"ended at {offset(self.session.ends)}",
                    )
                return

    def _contradicts(self, name: Name, status: str | None) -> bool:
        """Tell whether a cached state may have decided a shipment differently before this one was shown."""
        outcome = self.cached.get(name)
        if outcome is not None and (
            status is None or (outcome in self.certain.statuses) != (status in self.certain.statuses)
        ):
            return True
        return self.possible.stays_delivered(name) and not self.certain.stays_delivered(name) and status != "delivered"

    def _answers(self) -> Iterator[tuple[float, dict[Name, Sighting], dict[Name, Sighting], dict[Name, Sighting]]]:
        """Yield for each response: its time, and what the wait certainly got, may have got, and got from the cache.

        A response is not certain if it was requested before the wait joined, or with another key. The newest state of
        each shipment from before the wait may have been cached for it, if it is not older than an interval, or once a
        list of changes has confirmed it. The cache of a shipment is dropped when no wait needs checks of it any more.
        """
        oldest = self.session.begins - 1.1 * poke_interval(self.session) - 1.0
        by_change = any(oldest <= moment <= self.session.begins for moment in self.life.change_checks)
        known: dict[Name, tuple[Call, Sighting]] = {}
        answers: dict[tuple[float, int], tuple[Call, dict[Name, Sighting]]] = {}
        for name in self.names:
            for call, sighting in self.life.sightings.get(name, ()):
                if sighting.status is None and call.asked_at <= self.bounds.joined:
                    continue  # it may have been registered since, so later waits do not receive it
                if call.ended_at > self.session.begins:
                    answers.setdefault((call.ended_at, id(call)), (call, {}))[1][name] = sighting
                elif self._is_remembered(name, call.ended_at):
                    known[name] = call, sighting
        cached = {name: sighting for name, (call, sighting) in known.items() if by_change or call.ended_at >= oldest}
        if cached:
            yield self.session.begins, {}, {}, cached
        older = {name: sighting for name, (_, sighting) in known.items() if name not in cached}
        confirmed_at = min((at for at in self.life.change_checks if at > self.session.begins), default=math.inf)
        order = {id(call): number for number, call in enumerate(self.life.calls)}
        for call, sightings in sorted(answers.values(), key=lambda pair: (pair[0].ended_at, order[id(pair[0])])):
            if older and call.ended_at > confirmed_at:
                yield confirmed_at, {}, {}, older
                older = {}
            older = {name: sighting for name, sighting in older.items() if name not in sightings}
            is_certain = call.departed_at > self.bounds.joined and call.key == self._key(call.departed_at)
            confirmed = older if call.ended_at == confirmed_at else {}
            yield call.ended_at, sightings if is_certain else {}, sightings, confirmed
        if older and confirmed_at < math.inf:
            yield confirmed_at, {}, {}, older

    def _is_remembered(self, name: Name, since: float) -> bool:
        spans = self.life.watched[name]
        return any(begins <= since and ends >= self.bounds.joined for begins, ends in spans)

    def _key(self, moment: float) -> str:
        known = [key for at, key in self.session.keys if at <= moment]
        return known[-1] if known else ""

    def _verdict(self) -> Iterator[Violation]:
        verdict = self.session.verdict
        result = str(verdict.result)
        if result == "timed_out":
            yield from self._timed_out()
        elif result not in [belief.result for belief in self._beliefs]:
            yield self._violation(
                "wrong",
                f"ended {result} at {offset(self.session.ends)}; shown was {self.certain.result}: {self._outcomes()}",
            )
        for order, own in verdict.orders.items():
            if str(own.result) not in (*(belief.result_of(order) for belief in self._beliefs), "timed_out"):
                yield self._violation("wrong", f"order {order} ended {own.result}, not {self.certain.result_of(order)}")
            outcomes = [belief.outcomes(order) for belief in self._beliefs]
            for outcome in own.outcomes:
                name = (outcome.key.carrier_code.casefold(), outcome.key.tracking_number.casefold())
                allowed = {own[name] for own in outcomes} | {belief.outcome(name) for belief in self._beliefs}
                decided_without_it = any(other != name and other in self.cached for other in self.certain.orders[order])
                if "waiting" in allowed or decided_without_it or str(own.result) != str(result):
                    allowed |= {"waiting", "timed_out"}
                if str(outcome.outcome) not in allowed:
                    yield self._violation(
                        "wrong", f"{name} ended {outcome.outcome}, not {' or '.join(sorted(allowed))}"
                    )

    @property
    def _beliefs(self) -> list[Belief]:
        """The conclusions that are right.

        They follow from what certainly decides it, from all certain responses, from all since it began, and with the
        cache.
        """
        return [self.certain, self.firsthand, self.received, self.possible]

    def _outcomes(self) -> str:
        return ", ".join(f"{name[1]} {self.certain.outcome(name)}" for name in self.names[:8])

    def _timed_out(self) -> Iterator[Violation]:
        deadline = self.options.get("deadline")
        if deadline is None or self.session.ends < deadline - allowances.PUBLISH_SECONDS:
            yield self._violation(
                "wrong", f"timed out at {offset(self.session.ends)}, before its deadline {offset(deadline)}"
            )
            return
        if self.possible.settle:
            return
        final = max(deadline, self.bounds.joined)
        if overlaps(final - 1.0, self.session.ends, self.excused) or self.bounds.round(final, 30.0) > 25.0:
            return
        for order, own in self.session.verdict.orders.items():
            if str(own.result) != "timed_out":
                continue
            arrived = [
                name
                for name in self.possible.orders[order]
                if self.possible.outcome(name) in ("waiting", *self.possible.statuses)
                and any(begins <= final and ends >= self.session.ends for begins, ends, _ in self.bounds.arrivals(name))
            ]
            if len(arrived) >= self.possible.needed(order):
                yield self._violation(
                    "deadline",
                    f"timed out at {offset(self.session.ends)}, "
                    f"although the vendor knew at its deadline {offset(final)}, "
                    f"and the account was well: {', '.join(number for _, number in arrived[:5])} had arrived",
                )

    def _refused(self) -> Iterator[Violation]:
        ends = self.session.ends
        key = self._key(ends)
        before = [
            call for call in self.life.calls if call.ended_at <= ends and call.key == key and call.result != "lost"
        ]
        refusals: list[Call] = []
        for call in reversed(before):
            if call.result == "ok":
                break
            if call.result == "refused":
                refusals.append(call)
        if len(refusals) < 2 or refusals[0].departed_at - refusals[-1].ended_at < 4.5:
            yield self._violation(
                "wrong", f"gave up at {offset(ends)} without a confirmed refusal: {self.session.error}"
            )
        elif self.vendor.keys[key] <= ends:
            plan = next(
                plan for plan in self.evidence.record.scenario.accounts if plan.name == self.session.plan.account
            )
            current = plan.key_at(ends - CONNECT_SECONDS - allowances.PUBLISH_SECONDS)
            if current != key and self.vendor.keys[current] > ends:
                yield self._violation(
                    "rotation", f"gave up at {offset(ends)} with {key}, although the connection has {current}"
                )

    # What the vendor knew --------------------------------------------------------------------------------------------

    def _late(self) -> Iterator[Violation]:
        """Every wait ends once the vendor's knowledge must have been shown to it, or soon after its deadline."""
        session = self.session
        deadline = self.options.get("deadline")
        if deadline is not None:
            latest = max(deadline, self.bounds.joined) + allowances.DEADLINE_SECONDS + 1.0
            if session.ends > latest:
                yield self._violation(
                    "forgotten",
                    f"had to end by {offset(latest)} (deadline {offset(deadline)}), ended {self._end()}",
                )
                return
        must = [self._must_end(order) for order in self.certain.orders]
        at = max(moment for moment, _ in must)
        if session.ends > at + allowances.PUBLISH_SECONDS:
            why = "; ".join(self._explain(*proof, by) for by, proof in must if proof is not None)
            yield self._violation("late", f"had to end by {offset(at)}, ended {self._end()}. {why}")

    def _end(self) -> str:
        return f"{self.session.ended} at {offset(self.session.ends)}" if self.session.ended else "never"

    def _must_end(self, order: str | None) -> tuple[float, Proof | None]:
        """Return by when an order must be decided, and what decides it."""
        names = self.certain.orders[order]
        needed = self.certain.needed(order)
        arrive: list[tuple[float, Proof | None]] = []
        lose: list[tuple[float, Proof | None]] = []
        unregistered: list[tuple[float, Proof | None]] = []
        for name in names:
            arrivals, losses, missing = (
                self._first_certain(name, found)
                for found in (self.bounds.arrivals(name), self.bounds.losses(name), self.bounds.missing(name))
            )
            first_arrival = min((begins for begins, _, _ in self.bounds.arrivals(name)), default=math.inf)
            first_loss = min((begins for begins, _, _ in self.bounds.losses(name)), default=math.inf)
            was_cached = self.cached.get(name)
            has_arrived = was_cached in self.certain.statuses
            if arrivals is not None and first_loss > arrivals[0] and (was_cached is None or has_arrived):
                arrive.append(arrivals)
            if losses is not None and first_arrival > losses[0] and not has_arrived:
                lose.append(losses)
            if missing is not None and min(first_arrival, first_loss) > missing[0]:
                unregistered.append(missing)
        ends: list[tuple[float, Proof | None]] = [(math.inf, None)]
        if len(arrive) >= needed:
            ends.append(sorted(arrive, key=_moment)[needed - 1])
        if len(lose) > len(names) - needed:
            ends.append(sorted(lose, key=_moment)[len(names) - needed])
        ends += sorted(unregistered, key=_moment)[:1]
        return min(ends, key=_moment)

    def _first_certain(self, name: Name, found: Iterable[Known]) -> tuple[float, Proof | None] | None:
        """Return by when the wait must have been shown one of some states.

        :param found: begin and end of each state, and the interval within which a check must show it.
        """
        for begins, ends, interval in found:
            must = self.bounds.shown_by(name, begins, interval)
            if ends > must + allowances.PUBLISH_SECONDS:
                return must, (name, begins, interval)
        return None

    def _explain(self, name: Name, begins: float, interval: float, must: float) -> str:
        parcel = self.vendor.by_name.get(name)
        state = parcel.at(begins) if parcel is not None else NOT_REGISTERED
        excused = sum(
            min(end, must) - max(start, begins)
            for start, end in self.life.excuses.of([name])
            if start < must and end > begins
        )
        return (
            f"{name[1]} was {state.status or 'not registered'} from {offset(begins)} on, "
            f"so a check had to show it within {interval:g} s and by {offset(must)}: "
            f"{self.bounds.round(begins, interval, name):.1f} s of calls, {excused:.1f} s of trouble"
        )


def _moment(pair: tuple[float, Proof | None]) -> float:
    return pair[0]
