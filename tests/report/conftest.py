from datetime import UTC, datetime

import numpy as np
import pytest

from pocketgan.report import CandidatePoint, Example, ImageRow, Machine, Report, Row, StageTime, TaskSummary
from tests.demo.conftest import browser as browser


@pytest.fixture
def report() -> Report:
    """A small complete report, with a collapsed candidate and one that was never scored."""
    teacher = Row(
        name="Teacher",
        kind="teacher",
        params=11_378_179,
        macs=56_800_000_000,
        true_macs=49_552_000_000,
        size_bytes=45_600_000,
        latency_ms=985.0,
        latency_runtime="ONNX Runtime",
        scores={"fd": 39.8, "ssim": 0.71},
        intervals={"fd": (38.1, 41.6)},
        digest="a81f03c5d2e9",
    )
    small = Row(
        name="Compressed",
        kind="compressed",
        params=357_412,
        macs=4_610_000_000,
        true_macs=3_060_000_000,
        size_bytes=1_431_000,
        latency_ms=205.2,
        latency_runtime="ONNX Runtime",
        scores={"fd": 41.2, "ssim": 0.60},
        intervals={"fd": (39.3, 43.0)},
        digest="77be01c9930d",
        subnet="32_32_48",
    )

    def candidate(genome: str, macs: int, scores: dict[str, float], **more: bool) -> CandidatePoint:
        return CandidatePoint(
            subnet=genome, macs=macs, true_macs=macs // 2, params=macs // 1000, scores=scores, **more
        )

    return Report(
        title="nuclei: map to microscopy",
        recipe="pocket",
        command="pocketgan compress nuclei --budget 4.6G",
        task=TaskSummary(
            name="nuclei",
            digest="3f9a1c0d77aa",
            layout="aligned",
            direction="AtoB",
            size=(128, 128),
            counts={"train": 465, "select": 66, "test": 133},
        ),
        budget="4.6 G MACs",
        budget_macs=4_600_000_000,
        metric="fd",
        better={"fd": "lower", "ssim": "higher"},
        selection_split="select",
        figure_split="test",
        teacher_on_selection=40.3,
        differences={"fd": (-0.9, 3.7)},
        protocol="clean",
        rows=(teacher, small),
        candidates=(
            candidate("16_16_16", 1_000_000_000, {"fd": 80.0}),
            candidate("24_16_16", 2_000_000_000, {"fd": 90.0}),
            candidate("32_32_48", 4_500_000_000, {"fd": 45.0}, chosen=True),
            candidate("64_64_64", 9_000_000_000, {"fd": 41.0}),
            candidate("8_8_8", 500_000_000, {"fd": float("nan")}),
            candidate("64_64_48", 8_500_000_000, {}),
        ),
        examples=(Example(name="one", section="Test images", score=0.25),),
        stages=(StageTime(name="teacher", seconds=5400, steps=93_000), StageTime(name="search", seconds=200)),
        notes=("The select split is small.",),
        seed=7,
        digest="c0ffee12ab34",
        versions={"pocketgan": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "onnxruntime": "1.31.1"},
        machine=Machine(cpu="Some CPU", cores=2),
        date=datetime(2026, 11, 20, 11, 7, tzinfo=UTC),
    )


@pytest.fixture
def grids() -> list[ImageRow]:
    """One row in each of two sections, of 16-pixel noise."""
    rng = np.random.default_rng(0)
    columns = ("Input", "Teacher", "Compressed", "Ground truth")

    def row(name: str, section: str) -> ImageRow:
        images = {column: rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for column in columns}
        return ImageRow(name=name, caption="LPIPS 0.25", section=section, images=images)

    return [row("one", "Test images"), row("two", "Worst cases")]
