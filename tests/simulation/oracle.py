"""Judges a run by the parcels' truth and by what went over the wire, and by nothing that the code under test says.

Two questions, kept apart. *What a wait was shown* must decide it, at once and rightly (:mod:`.belief`). *What the
vendor knew* must be shown to it in time: within its own interval and the allowances of :mod:`.allowances`, each of
which has a name and a reason. Beside them: the slot clock, the number of calls, and nobody forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.call_rules import check_calls
from tests.simulation.evidence import Evidence, Violation
from tests.simulation.hint_rules import check_hints
from tests.simulation.scenario_run import Record
from tests.simulation.wait_rules import WaitJudge


def judge(record: Record) -> list[Violation]:
    """Judge a run by every rule.

    :param record: all that happened.
    :return: what must not have happened; empty if all is well.
    """
    return list(_violations(record))


def _violations(record: Record) -> Iterator[Violation]:
    for complaint in record.complaints:
        yield Violation("clean", complaint)
    evidence = Evidence(record)
    yield from check_calls(evidence)
    for (_, account), life in evidence.lives.items():
        yield from check_hints(evidence, account, life)
        for session in life.sessions:
            yield from WaitJudge(evidence, session, life).violations()
