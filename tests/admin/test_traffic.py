"""The last quarter of an hour: sums of the counters in buckets, as many as fit and no more."""

from __future__ import annotations

from sidecar.admin.traffic import BUCKET_S, BUCKETS, COLUMNS, Traffic
from sidecar.stats import Stats


def _counted(stats: Stats, status: int, count: int = 1) -> None:
    route = stats.route("crm")
    for _ in range(count):
        route.note((b"GET", status, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))


def test_each_bucket_has_what_happened_in_its_time() -> None:
    """By how requests ended, with refusals and rejections beside them; the last one is what has come since."""
    stats = Stats()
    _counted(stats, 200, 7)  # before it began to look
    traffic = Traffic(stats, 0.0)
    for status in (200, 204, 302, 404, 502, 0, 101):
        _counted(stats, status)
    stats.refusals.count("host", "")
    stats.route("crm").rejections["revoked"] += 2
    traffic.sample(BUCKET_S)
    _counted(stats, 200, 3)
    columns = traffic.columns(BUCKET_S + 1)
    assert {name: values[-2:] for name, values in columns.items()} == {
        "ok": [4, 3],
        "client_error": [1, 0],
        "server_error": [1, 0],
        "aborted": [1, 0],
        "refused": [1, 0],
        "rejected": [2, 0],
    }
    assert all(sum(values[:-2]) == 0 for values in columns.values())
    assert traffic.ends_in_s(BUCKET_S + 1) == BUCKET_S - 1


def test_it_forgets_what_is_older() -> None:
    """After a quarter of an hour; and there are never more buckets, however long it runs."""
    stats = Stats()
    traffic = Traffic(stats, 0.0)
    _counted(stats, 200, 5)
    for number in range(1, 3 * BUCKETS):
        traffic.sample(number * BUCKET_S)
        ok = traffic.columns(number * BUCKET_S)["ok"]
        assert (len(ok), sum(ok)) == (BUCKETS, 5 if number < BUCKETS else 0)


def test_a_stop_of_the_process_leaves_a_gap_and_no_bucket_out() -> None:
    """What was counted around it is in the bucket it began in."""
    stats = Stats()
    traffic = Traffic(stats, 0.0)
    _counted(stats, 200, 5)
    traffic.sample(4.5 * BUCKET_S)
    assert traffic.columns(4.5 * BUCKET_S)["ok"][-5:] == [5, 0, 0, 0, 0]
    assert traffic.ends_in_s(4.5 * BUCKET_S) == BUCKET_S / 2
    traffic.sample(1e6 * BUCKET_S)
    assert sum(traffic.columns(1e6 * BUCKET_S)["ok"]) == 0
    assert set(traffic.columns(1e6 * BUCKET_S)) == set(COLUMNS)
