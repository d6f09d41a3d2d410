"""Ten steps of every game, in float64: the losses are those on record, but for rounding, which differs between
processors and grows tenfold a step in the wildest of them: where a gradient should be 0, Adam enlarges it.

They move only on purpose. To put new ones on record: `python -m tests.objectives.test_golden`.
"""

import json
from pathlib import Path

import pytest

from tests.objectives.toys import (
    SPADE,
    cyclegan,
    distiller,
    in_place,
    in_place_cycle,
    munit,
    munit_distiller,
    pix2pix,
    play,
    spade,
    spade_distiller,
)

FOLDER = Path(__file__).parent / "golden"
STEPS = 10
GAMES = {
    "pix2pix": (pix2pix, {}),
    "pix2pix-lsgan": (pix2pix, dict(gan_mode="lsgan", recon=10.0, recon_loss="smooth_l1")),
    "distil": (distiller, {}),
    "distil-unpaired": (distiller, dict(paired=False, gan_mode="vanilla", distil=0.1, recon_loss="l2")),
    "supernet": (distiller, dict(supernet=True)),
    "supernet-sandwich": (distiller, dict(supernet=True, sampling={"kind": "sandwich", "random": 1})),
    "in-place": (in_place, dict(averaged=0)),
    "in-place-supernet": (
        in_place,
        dict(options=(3, 2, 1), averaged=0, sampling={"kind": "sandwich", "random": 1}),
    ),
    "in-place-cycle-supernet": (
        in_place_cycle,
        dict(options=(3, 2, 1), averaged=0, sampling={"kind": "sandwich", "random": 1}),
    ),
    "cyclegan": (cyclegan, {}),
    "cyclegan-no-identity": (cyclegan, dict(identity=0, pool=0, gan_mode="vanilla")),
    "spade": (spade, {}),
    "spade-spectral": (spade, dict(spec=SPADE.model_copy(update={"spectral": True}), perceptual=0)),
    "spade-distil": (spade_distiller, {}),
    "spade-supernet": (spade_distiller, dict(supernet=True, sampling={"kind": "sandwich", "random": 1})),
    "munit": (munit, {}),
    "munit-distil": (munit_distiller, {}),
    "munit-supernet": (munit_distiller, dict(supernet=True)),
    "munit-sandwich": (munit_distiller, dict(supernet=True, sampling={"kind": "sandwich", "random": 1})),
}


def curve(name: str, lr: float = 2e-3) -> list[dict[str, float]]:
    make, settings = GAMES[name]
    return [{key: loss.item() for key, loss in losses.items()} for losses in play(make(lr=lr, **settings), STEPS)]


@pytest.mark.parametrize("name", GAMES)
def test_losses_are_those_on_record(name):
    wanted = json.loads((FOLDER / f"{name}.json").read_text())
    found = curve(name)
    assert len(found) == len(wanted) == STEPS
    for step, (got, want) in enumerate(zip(found, wanted, strict=True)):
        assert got == pytest.approx(want, rel=1e-11 * 10**step, abs=1e-9), f"step {step}"


@pytest.mark.parametrize("name", GAMES)
def test_the_record_depends_on_the_updates(name):
    """Else it would say nothing about them."""
    record = json.loads((FOLDER / f"{name}.json").read_text())
    still = curve(name, lr=1e-12)
    for key, loss in still[-1].items():
        assert record[-1][key] != pytest.approx(loss, rel=1e-3), key


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for game in GAMES:
        (FOLDER / f"{game}.json").write_text(json.dumps(curve(game), indent=1) + "\n")
