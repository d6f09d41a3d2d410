import pytest

from pocketgan.catalog.catalog import NUCLEI
from pocketgan.data.task import open_task
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.cycle import CycleGanSettings
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.training import Train
from pocketgan.studies.budgets import from_scratch
from pocketgan.studies.methods import fast_gan_compression, gan_compression
from pocketgan.studies.setting import Setting


def test_epochs_fill_their_share_of_the_time(paired):
    """7 training images in batches of 2: 3 steps an epoch; half of 90 s at 0.1 s a step: 150 epochs."""
    setting = Setting(task=paired, seed=5, seconds=90, pace={"teacher": 0.1}, batch_size=2)
    stage = setting.training(Train, 0.5, "teacher", generator=setting.dense)
    assert (stage.schedule.constant, stage.schedule.decay, stage.schedule.batch_size) == (75, 75, 2)
    assert (stage.seed, stage.task, stage.precision) == (5, paired, "fp32")
    short = setting.training(Train, 0.001, "teacher", generator=setting.dense)
    assert (short.schedule.constant, short.schedule.decay) == (1, 1)


def test_games_and_discriminators_suit_the_data(paired, unpaired, even_pace):
    with_pairs, without = (Setting(task=task, seconds=1, discriminator_width=3) for task in (paired, unpaired))
    assert (with_pairs.discriminator, without.discriminator) == (
        PatchSpec(width=3),
        PatchSpec(width=3, in_channels=3),
    )
    assert (with_pairs.teaching, with_pairs.distilling) == (Pix2PixSettings(), DistilSettings())
    assert without.teaching == CycleGanSettings()
    assert not without.distilling.paired
    teacher = without.training(Train, 1.0, "teacher", generator=without.dense)
    student = without.training(Distil, 1.0, "student", teacher=teacher, student=without.dense)
    assert (teacher.objective, student.objective) == (without.teaching, without.distilling)
    other = DistilSettings(paired=False, distil=0)
    assert without.training(Distil, 1.0, "student", teacher=teacher, objective=other).objective == other


def test_the_teacher_is_as_wide_as_it_is_set(paired):
    assert Setting(task=paired, seconds=1, teacher_width=5).dense == ResnetSpec.uniform(5)


@pytest.mark.parametrize("unpaired", [False, True])
def test_networks_have_the_channels_of_the_images(pairs, unpaired):
    setting = Setting(task=open_task(pairs, size=24, unpaired=unpaired, channels=(1, 3)), seconds=1)
    assert (setting.dense.in_channels, setting.dense.out_channels) == (1, 3)
    assert setting.discriminator.in_channels == (3 if unpaired else 4)


#: by method and place: the first digits of the digest, at the pace of one machine; changed on purpose only
DIGESTS = {
    ("from scratch", "3 %"): "a4563e004070",
    ("from scratch", "1 %"): "45db7199126b",
    ("Fast GAN Compression", "3 %"): "7f117791bc04",
    ("Fast GAN Compression", "1 %"): "fb7348dfb65b",
    ("GAN Compression", "3 %"): "4eb58ac6c9a0",
    ("GAN Compression", "1 %"): "2e9071991abb",
}


def test_the_stages_of_the_methods_are_those_of_the_benchmark():
    pace = {
        "scratch of 3 %": 0.043,
        "scratch of 1 %": 0.043,
        "mobile teacher": 0.075,
        "dense teacher": 0.109,
        "distillation": 0.068,
        "supernet": 0.105,
    }
    task = open_task(NUCLEI, size=64, channels=(3, 3))
    setting = Setting(task=task, seed=0, seconds=150, pace=pace, precision="bf16")
    points = [*from_scratch(setting), *gan_compression(setting), *fast_gan_compression(setting)]
    found = {(point.series, point.place): point.network.digest[:12] for point in points}
    assert found == DIGESTS
    assert setting.pace.known == pytest.approx(pace), "nothing else was measured"
