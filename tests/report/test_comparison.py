import pytest

from pocketgan.report.comparison import Cell, lines, subnet_text, tiles


def changed(report, index: int, **fields):
    rows = list(report.rows)
    rows[index] = rows[index].model_copy(update=fields)
    return report.model_copy(update={"rows": tuple(rows)})


def change(report, title: str) -> Cell:
    return next(line.change for line in lines(report, report.rows) if line.title == title)


@pytest.mark.parametrize(
    ("subnet", "words"),
    [
        ("32_32_48_16", "16 to 48 channels, 32 on average"),
        ("4_4_2", "2 to 4 channels, 3.33 on average"),
        ("8_8,depth=6,kernel=5", "8 channels, 6 blocks, kernels of 5"),
        ("of one's own", "of one's own"),
    ],
)
def test_subnets_in_words(subnet, words):
    assert subnet_text(subnet) == words


def test_headline(report):
    assert ", ".join(tile.phrase for tile in tiles(report)) == (
        "12.3× fewer MACs, 31.8× fewer parameters, 4.8× faster on ONNX Runtime, fd 41.2 vs 39.8"
    )


def test_headline_says_when_something_got_worse(report):
    slower = changed(report, 1, latency_ms=1970.0)
    assert "2.0× slower on ONNX Runtime" in [tile.phrase for tile in tiles(slower)]


def test_latencies_of_different_runtimes_are_not_compared(report):
    mixed = changed(report, 1, latency_runtime="OpenVINO")
    assert not any("faster" in tile.phrase for tile in tiles(mixed))
    assert change(mixed, "Latency") == Cell("")


def test_without_a_teacher_there_is_no_headline(report):
    alone = report.model_copy(update={"rows": report.rows[1:]})
    assert tiles(alone) == []
    assert all(line.change == Cell("") for line in lines(alone, alone.rows))


def test_changes(report):
    assert change(report, "True MACs") == Cell("16.2× fewer", "", "better")
    assert change(report, "Size on disk") == Cell("31.9× smaller", "", "better")
    assert change(report, "fd") == Cell("+1.40", "may be noise")
    assert change(report, "SSIM") == Cell("−0.110", "really worse", "worse")
    sure = report.model_copy(update={"differences": {"fd": (0.2, 2.6)}})
    assert change(sure, "fd") == Cell("+1.40", "really worse", "worse")
    apart = changed(report, 1, scores={"fd": 30.0}).model_copy(update={"differences": {"fd": (-11.0, -8.0)}})
    assert change(apart, "fd") == Cell("−9.80", "really better", "better")


def test_what_nobody_measured_has_no_line(report):
    bare = changed(changed(report, 0, size_bytes=None), 1, size_bytes=None)
    assert "Size on disk" not in [line.title for line in lines(bare, bare.rows)]
    half = changed(report, 0, size_bytes=None)
    assert [line.cells for line in lines(half, half.rows) if line.title == "Size on disk"] == [
        [Cell("–"), Cell("1.4 MB")]
    ]
