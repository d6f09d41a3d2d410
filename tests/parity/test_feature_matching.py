"""Feature matching equals the official one."""

import pytest

from pocketgan.losses.adversarial import fool_loss
from pocketgan.losses.feature_matching import feature_matching
from tests.parity.golden import GOLDEN, Case

pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="the golden data are not beside the repository")


def test_feature_matching():
    case = Case(GOLDEN / "losses" / "spade_feature_matching.json")
    values = case["values"]
    fake, real = (
        [[case.input(f"{side}{scale}.{layer}").double() for layer in range(5)] for scale in range(values["num_D"])]
        for side in ("fake", "real")
    )
    found = values["lambda_feat"] * feature_matching(fake, real)
    assert found.item() == pytest.approx(values["G_feat"], rel=1e-6)
    assert fool_loss(fake, "hinge").item() == pytest.approx(values["G_gan_hinge"], rel=1e-6)
