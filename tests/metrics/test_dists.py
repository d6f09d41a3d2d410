from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pocketgan.errors import DataError
from pocketgan.metrics.dists import SOURCE, Dists, HannPool
from pocketgan.pretrained.vgg import Vgg
from tests.metrics.reference import reference

CHANNELS = (3, 64, 128, 256, 512, 512)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Untrained VGG16 with torchvision's names, and alpha and beta in the shapes of the official file."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("dists")
    state = Vgg(16, ["relu5_3"]).state_dict()
    save_file({key.replace("layers.", "features."): value for key, value in state.items()}, folder / "vgg16")
    torch.save({name: torch.rand(1, sum(CHANNELS), 1, 1) for name in ("alpha", "beta")}, folder / "weights.pt")
    return folder / "vgg16", folder / "weights.pt"


def images(count, size, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def restated(files, x, y):
    """Equations 5 to 8 of the paper, one image and one channel at a time, in float64."""
    vgg = Vgg.load(
        16, [f"relu{s}_{n}" for s, n in zip(range(1, 6), (2, 2, 3, 3, 3), strict=True)], files[0], pool=HannPool()
    )
    weights = torch.load(files[1], weights_only=True)
    alpha, beta = (weights[name].double().flatten().numpy() for name in ("alpha", "beta"))
    scores = []
    for pair in zip(x, y, strict=True):
        features = []
        for image in pair:
            unit = (image[None].double() + 1) / 2
            mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
            found = vgg.double()((unit - mean) / std)
            features.append([channel.numpy().ravel() for f in (unit, *found.values()) for channel in f[0]])
        score = 1.0
        for a, b, u, v in zip(alpha, beta, *features, strict=True):
            mu, mv = u.mean(), v.mean()
            cov = np.cov(u, v, bias=True)
            score -= a / (alpha.sum() + beta.sum()) * (2 * mu * mv + 1e-6) / (mu**2 + mv**2 + 1e-6)
            score -= b / (alpha.sum() + beta.sum()) * (2 * cov[0, 1] + 1e-6) / (cov[0, 0] + cov[1, 1] + 1e-6)
        scores.append(score)
    return scores


def test_it_is_the_restated_distance(files):
    x, y = images(2, 32), images(2, 32, seed=1)
    got = Dists.load(*files)(x, y)
    assert got.min() > 1e-3
    assert got.tolist() == pytest.approx(restated(files, x, y), rel=1e-4)


def test_equal_images_are_no_distance_apart_and_order_does_not_matter(files):
    dists = Dists.load(*files)
    x, y = images(2, 32), images(2, 32, seed=1)
    assert dists(x, x).tolist() == pytest.approx([0, 0], abs=1e-6)
    torch.testing.assert_close(dists(x, y), dists(y, x), rtol=0, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in dists.parameters())


def test_pooling_is_the_root_of_hann_weighted_squares():
    x = torch.randn(1, 2, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hann = np.hanning(5)[1:-1]
    window = np.outer(hann, hann) / np.outer(hann, hann).sum()
    padded = np.pad(x.numpy() ** 2, ((0, 0), (0, 0), (1, 1), (1, 1)))
    got = HannPool().double()(x)
    assert got.shape == (1, 2, 3, 4)
    for c in range(2):
        for i in range(3):
            for j in range(4):
                want = (window * padded[0, c, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]).sum()
                assert got[0, c, i, j].item() == pytest.approx((want + 1e-12) ** 0.5)


def test_other_weights_are_refused(files, tmp_path):
    torch.save({"alpha": torch.rand(1, 7, 1, 1), "beta": torch.rand(1, 7, 1, 1)}, tmp_path / "weights.pt")
    with pytest.raises(DataError, match=r"holds no weights of DISTS \(alpha and beta\); give its published file$"):
        Dists.load(files[0], tmp_path / "weights.pt")


def test_no_weights_no_figure(files, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path))
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")
    with pytest.raises(DataError, match=r"dists needs its trained weights: .* --weights dists=FILE$"):
        Dists.load(files[0])
    with pytest.raises(DataError, match=r"vgg16 needs its trained weights: .* --weights vgg16=FILE$"):
        Dists.load(weights=files[1])
    assert SOURCE.sha256.startswith("f5e65c96")


def test_it_is_the_reference_package(files):
    reference("torchvision")
    import torchvision

    network = torchvision.models.vgg16(weights=None)
    network.load_state_dict(load_file(files[0]), strict=False)  # all but the classifier
    with mock.patch("torchvision.models.vgg16", return_value=network):
        theirs = reference("DISTS_pytorch").DISTS(load_weights=False)
    weights = torch.load(files[1], weights_only=True)
    theirs.alpha.data, theirs.beta.data = weights["alpha"], weights["beta"]
    x, y = images(2, 64), images(2, 64, seed=1)
    want = theirs((x + 1) / 2, (y + 1) / 2)
    torch.testing.assert_close(Dists.load(*files)(x, y), want, rtol=1e-4, atol=1e-6)
