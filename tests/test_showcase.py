"""The models that are shipped: small, licensed, and as good as their cards say."""

import json
from pathlib import Path

import pytest

import pocketgan as pg
from pocketgan.models import load_model

NUCLEI = Path(__file__).resolve().parents[1] / "examples" / "nuclei"
MODELS = [
    file.parent for shipped in ("model", "staining") for file in sorted((NUCLEI / shipped).rglob("model.json"))
]


@pytest.mark.parametrize("shipped", ["model", "staining"])
def test_they_are_small_and_say_what_they_are(shipped):
    folder = NUCLEI / shipped
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 3_000_000
    page = (folder / "README.md").read_text()
    assert "MIT" in page
    assert "CC0" in page
    cards = [load_model(file.parent).card for file in folder.rglob("model.json")]
    for card in cards:
        assert "CC0" in card["licence"]
        value, (low, high) = (card["scores"]["fd_mobilenet_v2"][key] for key in ("value", "interval"))
        assert low < value < high


def test_one_run_gives_a_front_of_four_budgets():
    costs = [pg.profile(model)["macs"] for model in MODELS if "model" in model.parts]
    assert len(set(costs)) >= 4


def test_the_card_tells_the_score():
    """Measured again on the bundled test images."""
    scores = pg.evaluate(NUCLEI / "model", NUCLEI / "stained", metrics=["l1"]).scores
    assert scores["l1"] == pytest.approx(load_model(NUCLEI / "model").card["scores"]["l1"]["value"], abs=1e-4)


def test_no_image_of_the_examples_was_learnt_from():
    rows = (NUCLEI / "stained" / "split.csv").read_text(), (NUCLEI / "fluorescence" / "split.csv").read_text()
    splits = dict(line.split(",")[:2] for text in rows for line in text.splitlines())
    shown = [
        path.stem for shipped in ("model", "staining") for path in (NUCLEI / shipped / "examples").rglob("*.*")
    ]
    assert shown
    assert {splits[name] for name in shown} == {"test"}


def test_cards_are_strict_json():
    for model in MODELS:
        json.loads((model / "model.json").read_text(), parse_constant=lambda word: pytest.fail(word))
