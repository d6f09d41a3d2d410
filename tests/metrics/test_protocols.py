import pytest

from pocketgan.errors import SpecError
from pocketgan.metrics.protocols import PROTOCOLS, Protocol, find_protocol


def test_protocols_are_frozen():
    """Figures of results that lie on disks depend on them: a changed protocol needs another name."""
    assert {name: (p.sources, p.targets, p.reference, p.data, p.metrics) for name, p in PROTOCOLS.items()} == {
        "held-out": (("test",), ("test",), "targets", "any", ()),
        "paired-val": (("test",), ("test",), "targets", "pairs", ("fid_legacy",)),
        "gan-compression-unpaired": (
            ("test",),
            ("train", "select", "test"),
            "targets",
            "unpaired",
            ("fid_legacy",),
        ),
        "cut-120-140": (("test",), ("test",), "targets", "unpaired", ("fid_legacy", "fid_clean")),
        "pseudo-pair": (("test",), ("test",), "teacher", "any", ()),
    }
    assert all(p.name == name for name, p in PROTOCOLS.items())
    with pytest.raises(ValueError, match="frozen"):
        PROTOCOLS["held-out"].sources = ("train",)


def test_data_of_the_other_kind_are_refused():
    with pytest.raises(SpecError, match="paired-val is for pairs, and this folder has none; use held-out"):
        find_protocol("paired-val").check(paired=False)
    with pytest.raises(
        SpecError, match="cut-120-140 is for data without pairs, and this folder has pairs; use held"
    ):
        find_protocol("cut-120-140").check(paired=True)
    for paired in (True, False):
        find_protocol("held-out").check(paired)


def test_an_unknown_protocol():
    with pytest.raises(SpecError, match="unknown protocol 'heldout'; did you mean held-out"):
        find_protocol("heldout")
    assert isinstance(find_protocol("pseudo-pair"), Protocol)
