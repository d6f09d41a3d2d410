"""Mean IoU and pixel accuracy, the published protocols, and segmenters in ONNX files."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

from pocketgan.errors import DataError
from pocketgan.metrics import segmentation
from pocketgan.metrics.segmentation import (
    CAMVID_CLASSES,
    CITYSCAPES_CLASSES,
    Segmentation,
    confusion,
    counts,
    figures,
    iou,
    mean_iou,
    pixel_accuracy,
    train_ids,
)
from pocketgan.metrics.segmenters import NetworkSegmenter, Segmenter, View

RANDOM = np.random.default_rng(0)


def labels_and_predictions(classes=4, images=3):
    labels = torch.from_numpy(RANDOM.integers(0, classes + 1, (images, 9, 11)))
    labels[labels == classes] = 255
    return labels, torch.from_numpy(RANDOM.integers(0, classes, (images, 9, 11)))


def pictures(height, width, count=1):
    return torch.from_numpy(RANDOM.integers(0, 256, (count, 3, height, width))) / 127.5 - 1


# -- counting ----------------------------------------------------------------------------------------------------


def test_counts_pixel_by_pixel():
    labels, predictions = labels_and_predictions()
    wanted = np.zeros((4, 4), int)
    for label, prediction in zip(labels.flatten().tolist(), predictions.flatten().tolist(), strict=True):
        if label != 255:
            wanted[label, prediction] += 1
    matrix = confusion(labels, predictions, 4)
    np.testing.assert_array_equal(matrix, wanted)
    for number in range(4):
        own, other = (labels == number), (predictions == number) & (labels != 255)
        share = (own & other).sum() / (own | other).sum() * 100
        assert iou(counts(matrix))[number] == pytest.approx(float(share), rel=1e-6)
    right = (labels == predictions)[labels != 255].double().mean()
    assert pixel_accuracy(counts(matrix)) == pytest.approx(float(right) * 100)


def test_classes_that_the_mean_averages():
    # class 0: 2 of 3; class 1: predicted once, never there; class 2: never at all; class 3: 1 of 1
    counted = counts(confusion(torch.tensor([[0, 0, 0, 3]]), torch.tensor([[0, 0, 1, 3]]), 4))
    assert iou(counted).isnan().tolist() == [False, False, True, False]
    assert mean_iou(counted) == pytest.approx((200 / 3 + 0 + 100) / 3)
    assert mean_iou(counted, over="labelled") == pytest.approx((200 / 3 + 100) / 2)


@pytest.mark.parametrize("over", ["seen", "labelled"])
def test_influences_are_derivatives_by_the_weight_of_an_image(over):
    labels, predictions = labels_and_predictions(images=5)
    predictions[0, :3] = labels[0, :3].clamp(max=3)
    each = torch.stack([counts(confusion(x, y, 5)) for x, y in zip(labels, predictions, strict=True)])
    found, step = figures(each, over), 1e4
    for name, value in (("miou", lambda total: mean_iou(total, over)), ("pixel_accuracy", pixel_accuracy)):
        assert found[name].value == pytest.approx(value(each.sum(0)))
        assert found[name].generated.mean() == pytest.approx(0, abs=1e-9)
        for number in range(5):
            more, less = (value((step * each.sum(0) + sign * each[number]).long()) for sign in (1, -1))
            assert found[name].generated[number] == pytest.approx((more - less) / 2 * step * 5, rel=1e-3)


def test_training_ids_of_cityscapes():
    ids = np.arange(-1, 35).reshape(6, 6)
    wanted = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13}
    wanted |= {27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    assert train_ids(ids).flatten().tolist() == [wanted.get(number, 255) for number in range(-1, 35)]
    assert len(CITYSCAPES_CLASSES) == 19


# -- segmenters --------------------------------------------------------------------------------------------------


class Seen:
    """A network that keeps what it sees, and finds class k where channel k is the brightest."""

    classes = 3

    def __call__(self, x):
        self.x = x
        return torch.cat([x, x.new_full((1, 1, *x.shape[-2:]), 1e9)], 1)  # the last is no class

    def to(self, device):
        return self


def test_what_a_network_sees():
    view = View(scale=255, mean=(1, 2, 3), std=(4, 5, 6), bgr=True)
    network, x = Seen(), pictures(6, 8)
    segmenter = NetworkSegmenter(network=network, classes=3, view=view)
    assert isinstance(segmenter, Segmenter)
    found = segmenter(x, (6, 8))
    levels = np.round((x[0].numpy() + 1) * 127.5)
    wanted = [(levels[2] - 1) / 4, (levels[1] - 2) / 5, (levels[0] - 3) / 6]
    np.testing.assert_allclose(network.x[0], np.stack(wanted), rtol=1e-5)
    np.testing.assert_array_equal(found[0], np.argmax(wanted, 0))


def test_scores_are_resized_as_pillow_does():
    x = pictures(12, 20)
    segmenter = NetworkSegmenter(network=Seen(), classes=3, view=View())
    for size in ((48, 60), (5, 7)):
        planes = [Image.fromarray(((plane + 1) / 2).numpy()) for plane in x[0]]
        wanted = np.stack([np.asarray(p.resize(size[::-1], Image.Resampling.BILINEAR)) for p in planes]).argmax(0)
        assert (segmenter(x, size)[0].numpy() == wanted).mean() > 0.999


def test_cityscapes_protocol(monkeypatch):
    network = Seen()
    monkeypatch.setattr(segmentation.DRN, "load", lambda weights: network)
    x = pictures(8, 8) * 0.999
    score = segmentation.cityscapes({"a": np.full((16, 32), 255, np.uint8)})
    score(x, ["a"])
    levels = np.floor((x[0].numpy() + 1) / 2 * 255) / 255  # cut off, not rounded, and at its own size
    mean, std = (0.29010095, 0.32808144, 0.28696394), (0.18295405, 0.18656561, 0.18447509)
    wanted = (levels - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(network.x[0], wanted, rtol=1e-4, atol=1e-4)
    assert (score.segmenter.classes, score.over) == (19, "seen")


def test_coco_stuff_protocol(monkeypatch):
    network = Seen()
    monkeypatch.setattr(segmentation.DeepLab, "load", lambda weights: network)
    x = pictures(16, 16)
    score = segmentation.coco_stuff({"a": np.zeros((21, 40), np.uint8)})
    score(x, ["a"])
    image = Image.fromarray(((x[0].numpy() + 1) / 2 * 255).astype(np.uint8).transpose(1, 2, 0))
    levels = np.asarray(image.resize((40, 21), Image.Resampling.BICUBIC)).astype(float)[..., ::-1]
    np.testing.assert_allclose(network.x[0].permute(1, 2, 0), levels - (104.008, 116.669, 122.675), atol=1e-3)
    assert score.over == "labelled"


@pytest.mark.parametrize(("data", "classes", "size"), [("camvid", 11, (360, 480)), ("cityscapes", 19, (512, 1024))])
def test_espnet_protocols(data, classes, size):
    score = segmentation.espnet({"a": np.full((10, 12), 255, np.uint8)}, data)
    assert (score.segmenter.classes, score.segmenter.view.size) == (classes, size)
    assert len(CAMVID_CLASSES) == 11
    small = segmentation.espnet({"a": np.full((10, 12), 3, np.uint8)}, data, size=(16, 24))
    counted = small(pictures(20, 20), ["a"])
    assert counted.shape == (1, 3, classes)
    assert counted[0, 1].tolist() == [120 * (number == 3) for number in range(classes)]
    assert counted[0, 2].sum() == 120


# -- ONNX --------------------------------------------------------------------------------------------------------


def onnx_file(path, nodes, output, sides=("h", "w"), channels=3, initializers=()):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, *sides])
    graph = helper.make_graph(nodes, "segmenter", [image], [output], list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def brightest(path, sides=("h", "w")):
    """Labels: the channel that is the brightest, from 0."""
    output = helper.make_tensor_value_info("labels", TensorProto.INT64, [1, 1, *sides])
    return onnx_file(path, [helper.make_node("ArgMax", ["image"], ["labels"], axis=1)], output, sides)


def copied(path, sides=("h", "w")):
    """Scores: the image itself."""
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, *sides])
    return onnx_file(path, [helper.make_node("Identity", ["image"], ["scores"])], output, sides)


def test_onnx_scores_and_labels_at_every_size(tmp_path):
    x, maps = pictures(8, 10, count=2), {name: np.zeros((8, 10), np.uint8) for name in "ab"}
    wanted = x.argmax(1)
    scores = segmentation.onnx(maps, copied(tmp_path / "scores.onnx"))
    labels = segmentation.onnx(maps, brightest(tmp_path / "labels.onnx"), classes=3)
    assert scores.segmenter.classes == 3
    for score in (scores, labels):
        assert torch.equal(score.segmenter(x, (8, 10)), wanted)
        assert torch.equal(
            score(x, ["a", "b"])[:, 2], torch.stack([w.flatten().bincount(minlength=3) for w in wanted])
        )
    doubled = wanted.repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.equal(labels.segmenter(x, (16, 20)), doubled)


def test_onnx_of_a_fixed_size_and_its_view(tmp_path):
    x, view = pictures(8, 8), View(mean=(10, 0, 0))
    score = segmentation.onnx({"a": np.zeros((4, 6), np.uint8)}, copied(tmp_path / "net.onnx", (16, 12)), view)
    assert score.segmenter.view == View(mean=(10, 0, 0), size=(16, 12))
    found = score.segmenter(x, (4, 6))
    assert found.shape == (1, 4, 6)
    assert 0 not in found.unique()  # red, less 10, is never the brightest


def test_onnx_files_that_are_no_segmenters(tmp_path):
    with pytest.raises(DataError, match=r"labels.onnx does not tell its number of classes; state it$"):
        segmentation.onnx({}, brightest(tmp_path / "labels.onnx"))
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(DataError, match=r"text.onnx is no ONNX network that can be run; export it again$"):
        segmentation.onnx({}, tmp_path / "text.onnx")
    with pytest.raises(DataError, match=r"absent.onnx is no ONNX network"):
        segmentation.onnx({}, tmp_path / "absent.onnx")
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 4, "h", "w"])
    four = onnx_file(tmp_path / "4.onnx", [helper.make_node("Identity", ["image"], ["scores"])], output, channels=4)
    with pytest.raises(
        DataError, match=r"4.onnx does not take one image \(1, 3, height, width\); export it with th"
    ):
        segmentation.onnx({}, four)


# -- pairing -----------------------------------------------------------------------------------------------------


def red(labels, **options):
    return Segmentation(
        segmenter=NetworkSegmenter(network=Seen(), classes=3, view=View()), labels=labels, **options
    )


def test_images_meet_the_map_of_their_name():
    maps = {"a": np.zeros((4, 4), np.uint8), "b": np.full((6, 5), 2, np.int32)}
    x = pictures(6, 6, count=2)
    given = red(maps)(x, ["b", "a"])
    assert given[:, 1].tolist() == [[0, 0, 30], [16, 0, 0]]
    assert torch.equal(given, red(maps.__getitem__)(x, ["b", "a"]))
    assert red(maps).figures(given)["pixel_accuracy"].value == pytest.approx(100 * float(given[:, 0].sum()) / 46)


def refusal(score, name="a"):
    with pytest.raises(DataError) as caught:
        score(pictures(4, 4), [name])
    return str(caught.value)


def missing(name):
    raise FileNotFoundError(name)


def test_maps_that_do_not_fit():
    assert refusal(red({}), "street") == "street has no label map; add one of the same name"
    assert refusal(red(missing), "street") == "street has no label map; add one of the same name"
    assert refusal(red({"a": np.full((4, 4), 26)})) == (
        "the label map of a holds 26; allowed are 0 to 2 and 255 for pixels that do not count: mend the map"
    )
    assert refusal(red({"a": np.full((4, 4), -1)}, ignored=frozenset({3, 255}))) == (
        "the label map of a holds -1; allowed are 0 to 2 and 3, 255 for pixels that do not count: mend the map"
    )
    assert refusal(red({"a": np.zeros((4, 4, 3), np.uint8)})) == (
        "the label map of a has 3 dimensions, and needs 2; give class numbers"
    )
    nothing = red({"a": np.full((4, 4), 255)})
    with pytest.raises(
        DataError, match=r"^no pixel of the label maps is of a class that counts; give maps with cl"
    ):
        nothing.figures(nothing(pictures(4, 4), ["a"]))


class Fixed:
    """A segmenter that ignores the size, and finds class 7 everywhere."""

    classes = 3

    def __call__(self, images, size):
        return torch.full((1, 2, 3), 7)


def test_segmenters_that_do_not_fit():
    assert refusal(Segmentation(segmenter=Fixed(), labels={"a": np.zeros((4, 6), np.uint8)})) == (
        "a has a label map of 6 x 4 pixels, and the segmenter gave 3 x 2; "
        "use one that gives the size it is asked for"
    )
    assert refusal(Segmentation(segmenter=Fixed(), labels={"a": np.zeros((2, 3), np.uint8)})) == (
        "the segmenter found class 7 in a, and allowed are 0 to 2; state its number of classes"
    )
