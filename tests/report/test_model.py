import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pocketgan.report.model import Report, pareto_front


def test_json_both_ways(report):
    text = report.model_dump_json()
    assert Report.model_validate_json(text).model_dump_json() == text
    finite = report.model_copy(update={"candidates": report.candidates[:4]})
    assert Report.model_validate_json(finite.model_dump_json()) == finite


def test_json_is_strict_and_keeps_what_collapsed(report):
    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    json.loads(report.model_dump_json(), parse_constant=refuse)
    again = Report.model_validate_json(report.model_dump_json())
    assert math.isnan(again.candidates[4].scores["fd"])


def test_rows_hold_what_the_run_folder_promises(report):
    promised = {"name", "params", "macs", "true_macs", "latency_ms", "scores", "digest"}
    for row in json.loads(report.model_dump_json())["rows"]:
        assert promised <= row.keys()


def test_values_are_frozen(report):
    with pytest.raises(ValidationError):
        report.seed = 8


def test_a_metric_without_direction_is_refused(report):
    with pytest.raises(ValidationError, match="metrics without a direction in `better`: ssim"):
        Report.model_validate(report.model_dump() | {"better": {"fd": "lower"}})


def test_front_of_a_report(report):
    assert [c.genome for c in report.front()] == ["16_16_16", "32_32_48", "64_64_64"]


numbers = st.integers(0, 6).map(float) | st.sampled_from([math.nan, math.inf, -math.inf])


@given(st.lists(st.tuples(numbers, numbers), max_size=14), st.sampled_from(["lower", "higher"]))
def test_front_equals_brute_force(points, better):
    sign = 1 if better == "lower" else -1
    finite = {i: (x, sign * y) for i, (x, y) in enumerate(points) if math.isfinite(x) and math.isfinite(y)}

    def dominated(p):
        return any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in finite.values())

    front = pareto_front(points, better)
    assert sorted(front) == [i for i, p in finite.items() if not dominated(p)]
    assert [points[i][0] for i in front] == sorted(points[i][0] for i in front)
