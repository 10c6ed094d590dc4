"""Twenty thousand trackings: checks correctness, not speed."""

from __future__ import annotations

from collections import Counter


def test_twenty_thousand_trackings_are_held_paged_filtered_and_kept_up_to_date(caller, sandbox):
    assert len(sandbox.seed(20_000, ages_days=(0, 3))) == 20_000
    numbers = set()
    for page in (1, 5, 10):
        code, data = caller.get("/trackings/get", page=page, limit=2_000)
        assert (code, data["total"], data["count"]) == (200, "20000", 2_000)
        numbers |= {item["tracking_number"] for item in data["items"]}
    assert len(numbers) == 6_000
    assert caller.get("/trackings/get", page=11, limit=2_000)[0] == 4031
    wanted = sorted(numbers)[:40]
    assert {
        item["tracking_number"] for item in caller.get("/trackings/get", numbers=",".join(wanted))[1]["items"]
    } == set(wanted)
    sandbox.advance(days=15)
    counts = caller.get("/trackings/getstatusnumber")[1]
    assert sum(counts.values()) == 20_000
    assert counts["delivered"] > 17_600
    now = sandbox.clock()["unix"]
    planned: Counter[str] = Counter()
    for tracking in sandbox.trackings():
        visible = [change["status"] for change in tracking["changes"] if change["at"] <= now]
        planned[visible[-1] if visible else "pending"] += 1
    assert planned == Counter({status: count for status, count in counts.items() if count})
