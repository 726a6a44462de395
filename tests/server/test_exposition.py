"""The text format, against pages worked out by hand from its specification."""

from tunery_server.exposition import Exposition
from tunery_trainer.protocol.figures import Histogram


def test_label_values_are_escaped() -> None:
    page = Exposition()

    page.gauge("jobs", "Jobs.", [({"kind": 'a"b\\c\nd', "status": "失败"}, 1)])

    assert page.text() == (
        "# HELP tunery_jobs Jobs.\n"
        "# TYPE tunery_jobs gauge\n"
        'tunery_jobs{kind="a\\"b\\\\c\\nd",status="失败"} 1\n'
    )


def test_buckets_include_those_below_them() -> None:
    page = Exposition()
    histogram = Histogram((0.00025, 1.0, 4096.0), [1, 0, 2, 4], 9000.5)

    page.histogram("swap_seconds", "Swaps.", [({"deployment": "a"}, histogram), ({}, histogram)])

    assert page.text() == (
        "# HELP tunery_swap_seconds Swaps.\n"
        "# TYPE tunery_swap_seconds histogram\n"
        'tunery_swap_seconds_bucket{deployment="a",le="0.00025"} 1\n'
        'tunery_swap_seconds_bucket{deployment="a",le="1"} 1\n'
        'tunery_swap_seconds_bucket{deployment="a",le="4096"} 3\n'
        'tunery_swap_seconds_bucket{deployment="a",le="+Inf"} 7\n'
        'tunery_swap_seconds_sum{deployment="a"} 9000.5\n'
        'tunery_swap_seconds_count{deployment="a"} 7\n'
        'tunery_swap_seconds_bucket{le="0.00025"} 1\n'
        'tunery_swap_seconds_bucket{le="1"} 1\n'
        'tunery_swap_seconds_bucket{le="4096"} 3\n'
        'tunery_swap_seconds_bucket{le="+Inf"} 7\n'
        "tunery_swap_seconds_sum 9000.5\n"
        "tunery_swap_seconds_count 7\n"
    )
