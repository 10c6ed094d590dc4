"""Judge a run by the true states of the parcels and by the calls, and by nothing that the code under test reports.

Two questions are separate. *What a wait was shown* must decide it, at once and correctly (:mod:`.belief`). *What the
vendor knew* must be shown to it in time: within its interval and the allowances of :mod:`.allowances`. Further rules
are about the slot clock, the number of calls, and waits that never end.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.call_rules import check_calls
from tests.simulation.evidence import Evidence, Violation
from tests.simulation.hint_rules import check_hints
from tests.simulation.scenario_run import Record
from tests.simulation.wait_rules import WaitJudge
from tests.simulation.watcher_rules import check_watchers


def judge(record: Record) -> list[Violation]:
    """Judge a run by every rule.

    :param record: what happened.
    :return: the violations; empty if there are none.
    """
    return list(_violations(record))


def _violations(record: Record) -> Iterator[Violation]:
    for complaint in record.complaints:
        yield Violation("clean", complaint)
    evidence = Evidence(record)
    yield from check_calls(evidence)
    yield from check_watchers(evidence)
    for (_, account), life in evidence.lives.items():
        yield from check_hints(evidence, account, life)
        for session in life.sessions:
            yield from WaitJudge(evidence, session, life).violations()
