import json
import math

import pytest
from pydantic import ValidationError

from pocketgan.report.model import Report


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
    assert [c.subnet for c in report.front()] == ["16_16_16", "32_32_48", "64_64_64"]
