"""What a segmenter recognises in generated images: mean IoU and pixel accuracy against their label maps.

`cityscapes`, `coco_stuff` and `espnet` are published protocols, `onnx` takes any network. A label map is an array
(height, width) of class numbers, found by the name of the image.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, Integer, UInt8
from torch import Tensor

from pocketgan.errors import DataError
from pocketgan.metrics.bootstrap import Figure
from pocketgan.metrics.segmenters import NetworkSegmenter, OnnxNetwork, Segmenter, View
from pocketgan.pretrained.deeplab import DeepLab
from pocketgan.pretrained.drn import DRN
from pocketgan.pretrained.espnet import ESPNet

Labels = Mapping[str, np.ndarray] | Callable[[str], np.ndarray]

DONT_CARE = 255
CAMVID_CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"),
)
CITYSCAPES_CLASSES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
#: the label ids of Cityscapes that count, in the order of their training ids
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def train_ids(labels: Integer[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """The training ids (0 to 18, 255 for what does not count) of a Cityscapes map of label ids (-1 to 33).

    Source: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
    """
    table = np.full(256, DONT_CARE, np.uint8)
    table[list(_CITYSCAPES_IDS)] = np.arange(len(_CITYSCAPES_IDS))
    return table[labels.astype(np.uint8)]


# -- counting ----------------------------------------------------------------------------------------------------


def confusion(
    labels: Integer[Tensor, "*size"], predictions: Integer[Tensor, "*size"], classes: int
) -> Int64[Tensor, "classes classes"]:
    """Pixels by label (rows) and predicted class (columns); a label that is no class is left out.

    Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, section 5.
    """
    counted = (labels >= 0) & (labels < classes)
    pairs = labels[counted].long() * classes + predictions[counted].long()
    return pairs.bincount(minlength=classes**2).view(classes, classes)


def counts(matrix: Int64[Tensor, "classes classes"]) -> Int64[Tensor, "3 classes"]:
    """For each class the pixels that are of it and recognised, that are of it, and that are taken for it."""
    return torch.stack([matrix.diagonal(), matrix.sum(1), matrix.sum(0)])


def iou(counted: Int64[Tensor, "*images 3 classes"]) -> Float64[Tensor, "*images classes"]:
    """Intersection over union of each class in percent; NaN for one that neither occurs nor is predicted."""
    right, labelled, predicted = counted.double().unbind(-2)
    return right / (labelled + predicted - right) * 100


def mean_iou(counted: Int64[Tensor, "3 classes"], over: Literal["seen", "labelled"] = "seen") -> float:
    """The mean over the classes that occur or are predicted ("seen"), or that occur in the labels, in percent."""
    return float(iou(counted)[_averaged(counted, over)].mean())


def pixel_accuracy(counted: Int64[Tensor, "3 classes"]) -> float:
    """The share of the pixels that are recognised, in percent."""
    return 100 * int(counted[0].sum()) / int(counted[1].sum())


def figures(
    per_image: Int64[Tensor, "images 3 classes"], over: Literal["seen", "labelled"] = "seen"
) -> dict[str, Figure]:
    """Mean IoU ("miou") and pixel accuracy over a set of images, with the influence of each image.

    With T_c = Σᵢ tᵢ and U_c = Σᵢ uᵢ of a class over n images, the influence on its IoU is n (tᵢ U − T uᵢ) / U².
    """
    total = per_image.sum(0)
    right, labelled, predicted = per_image.double().unbind(1)
    union, kept = labelled + predicted - right, _averaged(total, over)
    changes = 100 * len(per_image) * _ratio_influence(right[:, kept], union[:, kept]).mean(1)
    accuracy = (
        100 * len(per_image) * _ratio_influence(right.sum(1, keepdim=True), labelled.sum(1, keepdim=True))[:, 0]
    )
    return {
        "miou": Figure(mean_iou(total, over), changes.numpy()),
        "pixel_accuracy": Figure(pixel_accuracy(total), accuracy.numpy()),
    }


def _averaged(counted: Int64[Tensor, "3 classes"], over: Literal["seen", "labelled"]) -> Tensor:
    return counted[1] > 0 if over == "labelled" else counted[1] + counted[2] > 0


def _ratio_influence(
    top: Float64[Tensor, "images ratios"], bottom: Float64[Tensor, "images ratios"]
) -> Float64[Tensor, "images ratios"]:
    above, below = top.sum(0), bottom.sum(0)
    return (top * below - above * bottom) / below.square()


# -- scoring -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Scores generated images by their label maps.

    ``labels`` gives a map by the name of an image; its numbers are the classes of the segmenter, or ``ignored``.
    ``over``: the classes that the mean IoU averages, see `mean_iou`.
    """

    segmenter: Segmenter
    labels: Labels
    ignored: frozenset[int] = frozenset({DONT_CARE})
    over: Literal["seen", "labelled"] = "seen"

    def __call__(
        self, images: Float[Tensor, "batch 3 height width"], names: Sequence[str]
    ) -> Int64[Tensor, "batch 3 classes"]:
        """The `counts` of each image, on the CPU. Raises DataError for a map that is missing or does not fit."""
        found = []
        for image, name in zip(images, names, strict=True):
            labels = self._map(name)
            predictions = self.segmenter(image.unsqueeze(0), (labels.shape[0], labels.shape[1]))[0].cpu()
            if predictions.shape != labels.shape:
                (height, width), (rows, columns) = labels.shape, predictions.shape
                raise DataError(
                    f"{name} has a label map of {width} x {height} pixels, and the segmenter gave "
                    f"{columns} x {rows}; use one that gives the size it is asked for"
                )
            if predictions.max() >= self.segmenter.classes:
                raise DataError(
                    f"the segmenter found class {int(predictions.max())} in {name}, and allowed are 0 to "
                    f"{self.segmenter.classes - 1}; state its number of classes"
                )
            found.append(counts(confusion(labels, predictions, self.segmenter.classes)))
        return torch.stack(found)

    def figures(self, per_image: Int64[Tensor, "images 3 classes"]) -> dict[str, Figure]:
        """Mean IoU and pixel accuracy of the images whose counts these are.

        Raises DataError where no pixel of their maps counts.
        """
        if not per_image[:, 1].any():
            raise DataError("no pixel of the label maps is of a class that counts; give maps with class numbers")
        return figures(per_image, self.over)

    def _map(self, name: str) -> Int64[Tensor, "height width"]:
        try:
            labels = self.labels[name] if isinstance(self.labels, Mapping) else self.labels(name)
        except (KeyError, FileNotFoundError) as error:
            raise DataError(f"{name} has no label map; add one of the same name") from error
        if labels.ndim != 2:
            raise DataError(
                f"the label map of {name} has {labels.ndim} dimensions, and needs 2; give class numbers"
            )
        classes = self.segmenter.classes
        strange = set(np.unique(labels).tolist()) - set(range(classes)) - self.ignored
        if strange:
            raise DataError(
                f"the label map of {name} holds {min(strange)}; allowed are 0 to {classes - 1} and "
                f"{', '.join(map(str, sorted(self.ignored)))} for pixels that do not count: mend the map"
            )
        return torch.from_numpy(labels.astype(np.int64))


# -- protocols ---------------------------------------------------------------------------------------------------


def cityscapes(labels: Labels, weights: Path | None = None, device: torch.device | str = "cpu") -> Segmentation:
    """Cityscapes as the compression papers score it: DRN-D-105 on the images as they are, truncated to 8 bits.

    Labels are training ids (`train_ids`) at 2048 x 1024.

    Source: mit-han-lab/gan-compression, metric/cityscapes_mIoU.
    """
    view = View(
        mean=(0.29010095242892997, 0.32808144844279574, 0.28696394422942517),
        std=(0.1829540508368939, 0.18656561047509476, 0.18447508988480435),
        rounding="truncate",
    )
    network = DRN.load(weights).to(device)
    segmenter = NetworkSegmenter(network=network, classes=len(CITYSCAPES_CLASSES), view=view)
    return Segmentation(segmenter=segmenter, labels=labels)


def coco_stuff(labels: Labels, weights: Path | None = None, device: torch.device | str = "cpu") -> Segmentation:
    """COCO-Stuff as the compression papers score it: DeepLab v2 at the labels' size (182 classes, 255 ignored).

    Source: mit-han-lab/gan-compression, metric/coco_scores.
    """
    view = View(scale=255, mean=(104.008, 116.669, 122.675), bgr=True, rounding="truncate", size="labels")
    network = DeepLab.load(weights).to(device)
    segmenter = NetworkSegmenter(network=network, classes=network.classes, view=view)
    return Segmentation(segmenter=segmenter, labels=labels, over="labelled")


def espnet(
    labels: Labels,
    data: Literal["camvid", "cityscapes"],
    size: tuple[int, int] | None = None,
    device: torch.device | str = "cpu",
) -> Segmentation:
    """CamVid (labels 0 to 10, 11 or 255 ignored) or Cityscapes (training ids) by the bundled ESPNet: no download.

    ``size``: (height, width) at which the network sees the images, by default what it was trained at. The mean and
    std of CamVid are ours, of its 367 training images at 256 x 192; the authors state theirs for Cityscapes only.

    Source: Mehta et al., ECCV 2018, and sacmehta/ESPNet.
    """
    if data == "camvid":
        mean, std, trained = (110.229, 108.307, 104.947), (70.654, 71.126, 68.475), (360, 480)
        classes, ignored = len(CAMVID_CLASSES), frozenset({len(CAMVID_CLASSES), DONT_CARE})
    else:
        mean, std, trained = (72.392, 82.909, 73.158), (45.319, 46.153, 44.915), (512, 1024)
        classes, ignored = len(CITYSCAPES_CLASSES), frozenset({DONT_CARE})
    spread = (255 * std[0], 255 * std[1], 255 * std[2])
    view = View(scale=255, mean=mean, std=spread, bgr=True, size=size or trained)
    segmenter = NetworkSegmenter(network=ESPNet.load(data=data).to(device), classes=classes, view=view)
    return Segmentation(segmenter=segmenter, labels=labels, ignored=ignored, over="labelled")


def onnx(labels: Labels, path: Path, view: View | None = None, classes: int | None = None) -> Segmentation:
    """Any segmenter in an ONNX file: one image (1, 3, height, width) in, scores (1, classes, ...) or labels out.

    ``view`` says how it wants its image; a size that the file fixes goes before the view's. ``classes`` is needed
    where the file does not tell. Raises DataError for a file that is no such network.
    """
    network = OnnxNetwork(path)
    classes = classes or network.classes
    if classes is None:
        raise DataError(f"{path} does not tell its number of classes; state it")
    view = view or View()
    if network.size is not None:
        view = view.model_copy(update={"size": network.size})
    return Segmentation(segmenter=NetworkSegmenter(network=network, classes=classes, view=view), labels=labels)
