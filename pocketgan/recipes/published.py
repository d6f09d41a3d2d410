"""The settings of every published row, as the authors' scripts have them.

Source: GAN Compression (CVPR 2020) and Fast GAN Compression (TPAMI 2022): papers, code and launch scripts.
"""

from __future__ import annotations

from typing import Any

from pocketgan.networks.presets import LABELS
from pocketgan.recipes.compression import Settings
from pocketgan.recipes.families import parts
from pocketgan.search import Evolution, Exhaustive
from pocketgan.training.schedule import Schedule

#: what every published run has: teacher and fine-tuning see all of train, batch norm is calibrated on 512 images.
#: Searches go by the FID where the authors' did; those of label maps went by mIoU, which needs labels of full size
#: beside the images (`evaluate --segmenter`), and go by the default metric here
_PUBLISHED: dict[str, Any] = dict(whole_train=True, calibration=512)


def _epochs(constant: int, decay: int, batch_size: int) -> Schedule:
    return Schedule(constant=constant, decay=decay, batch_size=batch_size)


# -- pix2pix -----------------------------------------------------------------------------------------------------


def _pix2pix(width: int, *, mobile: bool = False, aerial: bool = False) -> dict[str, Any]:
    """`aerial`: the weights of the maps, where pixels count less."""
    made = parts("pix2pix", width, 128, mobile=mobile)
    if aerial:
        made["objective"] = made["objective"].model_copy(update={"recon": 10.0})
        made["distillation"] = made["distillation"].model_copy(update={"recon": 10.0, "distil": 0.01})
    return {**_PUBLISHED, **made}


def edges2shoes() -> Settings:
    teaching = _epochs(5, 15, 4)
    return Settings(
        metric="fid_legacy",
        **_pix2pix(64, mobile=True),
        teaching=teaching,
        predistillation=teaching,
        space="channels-48",
        supernet=_epochs(10, 30, 4),
        search=Exhaustive(),
        tuning=teaching,
    )


def cityscapes() -> Settings:
    teaching = _epochs(100, 150, 1)
    return Settings(
        **_pix2pix(96, mobile=True),
        teaching=teaching,
        predistillation=teaching,
        space="channels-48",
        supernet=_epochs(200, 300, 1),
        search=Exhaustive(),
        tuning=teaching,
    )


def map2sat() -> Settings:
    teaching = _epochs(100, 200, 1)
    return Settings(
        metric="fid_legacy",
        **_pix2pix(96, mobile=True, aerial=True),
        teaching=teaching,
        predistillation=teaching,
        space="channels-48",
        supernet=_epochs(200, 400, 1),
        search=Exhaustive(),
        tuning=teaching,
    )


def fast_edges2shoes() -> Settings:
    return Settings(
        metric="fid_legacy",
        **_pix2pix(64),
        teaching=_epochs(5, 15, 4),
        space="channels-64-pix2pix",
        supernet=_epochs(10, 30, 4),
        search=Evolution(mutation_probability=0.3),
        tuning=_epochs(5, 15, 4),
    )


def fast_cityscapes() -> Settings:
    """The authors advise against fine-tuning here: no gain."""
    return Settings(
        **_pix2pix(64),
        teaching=_epochs(100, 150, 1),
        space="channels-64-pix2pix",
        supernet=_epochs(200, 300, 1),
        search=Evolution(mutation_probability=0.3),
    )


def fast_map2sat() -> Settings:
    return Settings(
        metric="fid_legacy",
        **_pix2pix(64, aerial=True),
        teaching=_epochs(100, 200, 1),
        space="channels-64-pix2pix",
        supernet=_epochs(200, 400, 1),
        search=Evolution(mutation_probability=0.3),
        tuning=_epochs(100, 200, 1),
    )


# -- CycleGAN; the authors leave fine-tuning out: the FID gets worse -----------------------------------------------


def horse2zebra() -> Settings:
    return Settings(
        metric="fid_legacy",
        **_PUBLISHED,
        **parts("cyclegan", 64, 64, mobile=True),
        teaching=_epochs(100, 100, 1),
        predistillation=_epochs(100, 100, 1),
        space="channels-32",
        supernet=_epochs(200, 200, 1),
        search=Exhaustive(),
    )


def fast_horse2zebra() -> Settings:
    return Settings(
        metric="fid_legacy",
        **_PUBLISHED,
        **parts("cyclegan", 64, 64),
        teaching=_epochs(100, 100, 1),
        space="channels-64-cycleGAN",
        supernet=_epochs(200, 200, 1),
        search=Evolution(mutation_probability=0.4, weighting="arithmetic", first_generation=2),
    )


# -- GauGAN ------------------------------------------------------------------------------------------------------


def _gaugan(labels: str, *, mobile: bool = False) -> dict[str, Any]:
    made = parts("gaugan", 64, 64, mobile=mobile, **LABELS[labels])
    return {**_PUBLISHED, **made, "sight": {"network": "vgg19"}}


def gaugan_cityscapes() -> Settings:
    schedule = _epochs(100, 100, 16)
    return Settings(
        **_gaugan("cityscapes", mobile=True),
        teaching=schedule,
        predistillation=schedule,
        space="channels-48",
        supernet=schedule,
        search=Exhaustive(),
        tuning=schedule,
    )


def fast_gaugan_cityscapes() -> Settings:
    return Settings(
        **_gaugan("cityscapes"),
        teaching=_epochs(100, 100, 16),
        space="channels-64",
        supernet=_epochs(200, 200, 16),
        search=Evolution(mutation_probability=0.2, weighting="geometric", first_generation=3),
        tuning=_epochs(100, 100, 16),
    )


def fast_gaugan_coco() -> Settings:
    return Settings(
        **_gaugan("coco"),
        teaching=_epochs(100, 0, 32),
        space="channels-64",
        supernet=_epochs(100, 0, 32),
        search=Evolution(mutation_probability=0.2),
        tuning=_epochs(100, 0, 32),
    )


# -- MUNIT; counted in steps of one image: 1 and 2 million, over edges2shoes-r's 47,977 images --------------


def fast_munit() -> Settings:
    return Settings(
        metric="fid_legacy",
        **_PUBLISHED,
        **parts("munit", 64, 64),
        teaching=Schedule(constant=21, batch_size=1, halving=100_000),
        space="channels-64",
        supernet=Schedule(constant=42, batch_size=1, halving=200_000),
        search=Evolution(mutation_probability=0.2, weighting="geometric", first_generation=2),
    )
