"""Known mistakes, each with a run that shows it: the oracle must notice every one.

``make simulate ARGS=--mutations`` runs all of them, ``make simulate SEED=.. ARGS="--mutate A1"`` replays one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.simulation import mistakes
from tests.simulation.mistakes import Patches


@dataclass(frozen=True)
class Mutation:
    """One mistake.

    :param text: a description.
    :param patches: returns the patches that put it into the code.
    :param rules: the rules of the oracle, at least one of which it breaks.
    :param seed: the seed of a run that shows it.
    :param size: the size of that run.
    :param themes: the additional themes of that run.
    """

    text: str
    patches: Callable[[], Patches]
    rules: frozenset[str]
    seed: int
    size: str = "small"
    themes: frozenset[str] = frozenset()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the mistake into the code within a ``with`` block."""
        with ExitStack() as stack:
            for patch in self.patches():
                stack.enter_context(patch)
            yield


def _mutation(
    text: str, patches: Callable[[], Patches], rules: str, seed: int, size: str = "small", *themes: str
) -> Mutation:
    return Mutation(text, patches, frozenset(rules.split()), seed, size, frozenset(themes))


LATE = "late deadline"
SMALL = "small calls"
WATCHERS = "watchers"
MUTATIONS: dict[str, Mutation] = {
    "A1": _mutation("a newcomer is not told what is known", mistakes.known_states_are_not_published, LATE, 7),
    "A2": _mutation("two spellings are two shipments", mistakes.spellings_differ, LATE, 0, "small", "spelling"),
    "A3a": _mutation("what an answer leaves out is missing", mistakes.left_out_is_missing, "wrong", 4),
    "A3b": _mutation("one confirmed miss confirms all", mistakes.one_missing_makes_all_missing, "wrong", 28),
    "A3c": _mutation("a newcomer gets an older miss", mistakes.newcomers_get_an_older_miss, "wrong", 10),
    "A4a": _mutation("no last check", mistakes.no_last_check, "deadline", 93),
    "A4b": _mutation(
        "no check after the deadline", mistakes.no_check_after_the_deadline, "deadline", 5, "small", "deadlines"
    ),
    "A4c": _mutation("the last check has no end", mistakes.last_check_has_no_end, "forgotten", 100),
    "A5a": _mutation(
        "HTML 401, 403 or 404 ends all waits", mistakes.ends_the_account(mistakes.is_from_a_proxy), "wrong", 29
    ),
    "A5b": _mutation("302 ends all waits", mistakes.ends_the_account(mistakes.has_http_status(302)), "wrong", 107),
    "A5c": _mutation("407 ends all waits", mistakes.ends_the_account(mistakes.has_http_status(407)), "wrong", 32),
    "A5d": _mutation(
        "408 ends all waits", mistakes.ends_the_account(mistakes.has_http_status(408)), "wrong", 8, "small", SMALL
    ),
    "A5e": _mutation(
        "an unknown code ends all waits",
        mistakes.ends_the_account(mistakes.is_unknown_code),
        "wrong",
        8,
        "small",
        SMALL,
    ),
    "A5f": _mutation(
        "one refusal ends all waits", mistakes.ends_the_account(mistakes.is_refusal), "wrong", 34, "small", SMALL
    ),
    "A6": _mutation("a rotated key ends the waits", mistakes.rotated_keys_end_waits, "rotation", 65, "small", SMALL),
    "A7a": _mutation("changes put full checks off", mistakes.changes_put_full_checks_off, LATE, 12, "small", SMALL),
    "A7b": _mutation(
        "the first wait sets reconcile_seconds",
        mistakes.first_wait_sets_reconcile_seconds,
        LATE,
        76,
        "busy",
        "null updates",
        SMALL,
    ),
    "B8a": _mutation(
        "one failing number stops the account", mistakes.failures_stop_the_account, LATE, 11, "small", "poison", SMALL
    ),
    "B8b": _mutation("what fails is not halved", mistakes.failed_groups_stay_whole, LATE, 11, "small", "poison"),
    "B8c": _mutation(
        "the service never counts as down", mistakes.service_is_never_down, "restraint", 29, "small", SMALL
    ),
    "B8d": _mutation(
        "a list that fails pauses nothing", mistakes.failed_lists_do_not_pause, "restraint", 0, "busy", "outage", SMALL
    ),
    "B8e": _mutation(
        "confirmations come first",
        mistakes.confirmations_come_first,
        LATE,
        16,
        "large",
        "missing",
        "unlisted",
        "newcomers",
        SMALL,
    ),
    "A1b": _mutation(
        "changes tell a newcomer nothing",
        mistakes.changes_tell_newcomers_nothing,
        LATE,
        12,
        "busy",
        "newcomers",
        "sharing",
        SMALL,
    ),
    "A1c": _mutation(
        "changes count for missing shipments",
        mistakes.changes_count_for_the_missing,
        LATE,
        48,
        "busy",
        "deadlines",
        "poison",
        SMALL,
    ),
    "B8f": _mutation(
        "who polls each second takes all slots",
        mistakes.polls_at_each_interval_take_every_slot,
        LATE,
        73,
        "busy",
        "deadlines",
        "poison",
        SMALL,
    ),
    "B9b": _mutation(
        "changes that were too long are avoided",
        mistakes.long_changes_are_avoided_for_long,
        "calls",
        1078,
        "busy",
        "deadlines",
        "restarts",
        "registered together",
        SMALL,
    ),
    "B9a": _mutation(
        "each newcomer makes all due",
        mistakes.newcomers_make_all_due,
        "calls",
        979,
        "busy",
        "elsewhere",
        "newcomers",
        SMALL,
    ),
    "B9c": _mutation(
        "a list checks what it leaves out",
        mistakes.lists_count_for_what_they_leave_out,
        "calls",
        186,
        "small",
        "vanishing",
        SMALL,
    ),
    "B12a": _mutation(
        "a future time moves the cursor", mistakes.future_times_move_the_cursor, LATE, 48, "small", "odd updates", SMALL
    ),
    "B12b": _mutation(
        "only the first answer sets the cursor",
        mistakes.first_answer_sets_the_cursor,
        "calls",
        239,
        "busy",
        "registered together",
        SMALL,
    ),
    "F": _mutation(
        "changes are read by page number",
        mistakes.changes_are_read_by_page_number,
        LATE,
        96,
        "busy",
        "registered together",
        SMALL,
    ),
    "C1": _mutation("hints are lost", mistakes.hints_are_lost, "hint", 1, "small", "hints"),
    "C2": _mutation("each hint is a call", mistakes.each_hint_is_a_call, "calls", 51, "small", "hints"),
    "C3": _mutation("hints end pauses", mistakes.hints_end_pauses, "restraint", 8, "small", "hints", "outage"),
    "D1": _mutation(
        "one of several watchers gets the rows", mistakes.one_watcher_gets_the_rows, "unreported", 1, "small", WATCHERS
    ),
    "D2": _mutation("a failed round counts", mistakes.failed_rounds_count, "unreported", 32, "small", WATCHERS),
    "D3": _mutation(
        "full lists wait for an interval", mistakes.full_lists_wait_for_an_interval, "unreported", 1, "small", WATCHERS
    ),
    "D4": _mutation(
        "waits move the window of a watcher", mistakes.waits_move_the_window, "unreported", 48, "small", WATCHERS
    ),
    "D5": _mutation(
        "states from hints are kept", mistakes.hinted_states_are_kept, "outdated", 4, "small", "hints", WATCHERS
    ),
    "D6": _mutation(
        "a hint settles a shipment",
        mistakes.hints_settle_shipments,
        "outdated",
        1005,
        "busy",
        "hints",
        "light trouble",
        "restarts",
        "vanishing",
        WATCHERS,
    ),
    "D7": _mutation(
        "the first round may read nothing",
        mistakes.first_round_may_read_nothing,
        "outdated",
        37,
        "small",
        "hints",
        WATCHERS,
    ),
    "D8": _mutation(
        "rows for watchers reach no wait", mistakes.watchers_rows_reach_no_wait, "publish", 1, "small", WATCHERS
    ),
    "D9": _mutation(
        "each round reads everything", mistakes.each_round_reads_everything, "calls", 27, "small", WATCHERS
    ),
}
