"""What must hold before anything is trained: networks, games, images and scores belong together."""

from __future__ import annotations

from pocketgan.data.task import Direction, Task
from pocketgan.elastic.sampling import AnySampling, ResolutionSampling
from pocketgan.errors import DataError, SpecError
from pocketgan.metrics import METRICS
from pocketgan.metrics.catalog import FRECHET
from pocketgan.networks import DiscriminatorSpec, GeneratorSpec, ResnetSpec, SharedPatchSpec
from pocketgan.networks.presets import specs
from pocketgan.objectives.distil import DistilSettings
from pocketgan.pipeline.games import Distilling, Teaching, check_sides
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.recipes.games import UNPAIRED, data_of, game_of
from pocketgan.training.schedule import Schedule


def check_family(
    task: Task,
    teacher: GeneratorSpec,
    discriminator: DiscriminatorSpec,
    teaching: Teaching,
    distilling: Distilling,
) -> None:
    """Raise `DataError` or `SpecError` unless networks, games and data belong together."""
    check_players(task, teacher, discriminator, teaching)
    game = game_of(teaching)
    if distilling.kind != game.distilling:
        raise SpecError(f"a student of {game.name} learns by {game.distilling}; leave distillation.kind as it is")
    if isinstance(distilling, DistilSettings) and distilling.paired != task.paired:
        raise SpecError("whether students see pairs follows from the data; leave distillation.paired as it is")


def check_players(
    task: Task, teacher: GeneratorSpec, discriminator: DiscriminatorSpec | SharedPatchSpec, teaching: Teaching
) -> None:
    """Raise `DataError` or `SpecError` unless a teacher, its discriminator, game and data belong together."""
    game = game_of(teaching)
    if game.data != data_of(task):
        ignore = ", or --unpaired to ignore the pairs" if game.data == UNPAIRED and not task.labels else ""
        raise DataError(
            f"{game.name} learns from {game.data}, and {task.root} holds {data_of(task)}; "
            f"choose another --model{ignore}"
        )
    if game.name not in teacher.games:
        known = ", ".join(kind for kind, spec in specs().items() if game.name in getattr(spec, "games", ()))
        raise SpecError(f"{game.name} trains no {teacher.kind}; choose a teacher among {known}")
    into, out = task.in_channels, task.out_channels
    if game.data == UNPAIRED and into != out:
        raise SpecError(
            f"{game.name} translates both ways by networks of one kind, and the images of A and of B have "
            f"{task.a.channels} and {task.b.channels} channels; say --channels 3 or 1 for both"
        )
    seen = out if game.data == UNPAIRED else into + out
    if (teacher.in_channels, teacher.out_channels, discriminator.in_channels) != (into, out, seen):
        raise SpecError(
            f"here a generator makes {out} channels of {into} and its discriminator sees {seen}; this generator "
            f"makes {teacher.out_channels} of {teacher.in_channels}, and its discriminator sees "
            f"{discriminator.in_channels}; leave in_channels and out_channels as they are, or say --channels"
        )
    check_sides(task.size, teacher, discriminator)


def check_norms(generator: GeneratorSpec, *schedules: Schedule | None) -> None:
    """Raise `SpecError` where batch norm would take its statistics of a single image, which are not those that the
    finished network has."""
    alone = any(schedule.batch_size == 1 for schedule in schedules if schedule)
    if alone and isinstance(generator, ResnetSpec) and "batch" in (generator.norm, generator.separable_norm):
        raise SpecError(
            "batch norm needs batches of several images, and batch_size is 1; make it 4, or say --set "
            "form.norm=instance --set form.separable_norm=instance"
        )


def check_taps(teacher: GeneratorSpec, student: GeneratorSpec) -> None:
    """Raise `SpecError` unless the teacher has the features that the student's are compared with."""
    if missing := [tap for tap in student.taps if tap not in teacher.taps]:
        raise SpecError(
            f"a student is compared with its teacher at {', '.join(missing)}, and this {teacher.kind} has no "
            "features there; leave student as it is"
        )


def check_resolutions(
    task: Task,
    sampling: AnySampling,
    teacher: GeneratorSpec,
    discriminator: DiscriminatorSpec | SharedPatchSpec | None,
) -> None:
    """Raise `SpecError` unless a teacher, and a discriminator that sees them too, can take all resolutions."""
    if not isinstance(sampling, ResolutionSampling):
        return
    sampling.check(teacher, task.size)
    smallest = min(map(min, sampling.every(task.size)))
    if discriminator and smallest < discriminator.smallest_side:
        raise SpecError(
            f"a resolution of {smallest} is too small for a {discriminator.kind} discriminator, which judges "
            f"images from {discriminator.smallest_side} pixels on; leave it out"
        )


def check_counts(task: Task) -> None:
    """Raise `DataError` unless there are images enough to choose by and to score on."""
    for split in ("select", "test"):
        count, domain = min((len(samples), name) for samples, name in zip(task.files(split), "AB", strict=True))
        if count < 2:
            what = f"{count} pair" if task.paired else f"{count} image of {domain}"
            raise DataError(
                f"{task.root} has {what} to {split} on, and scores need at least 2; add images ({task.split_note})"
            )


def check_metric(task: Task, name: str, *, teachers: bool = False) -> None:
    """Raise `SpecError` unless networks can be chosen by this score: said before anything is trained.

    `teachers`: these are chosen by it too, so that it must not compare with one.
    """
    needs = METRICS[name].needs
    if teachers and "teacher" in needs:
        raise SpecError(f"{name} cannot choose among teachers; set metric to {FRECHET}")
    if "labels" in needs or ("pairs" in needs and not task.paired):
        lack = "a segmenter" if "labels" in needs else f"pairs, and {task.root} has none"
        usual = FRECHET if task.paired or teachers else f"{FRECHET} or teacher_l1"
        raise SpecError(f"a search by {name} needs {lack}; search by {usual}")


def check_direction(direction: Direction, teacher: TeacherFile) -> None:
    """Raise `SpecError` where a finished teacher is known to translate the other way."""
    if teacher.direction not in (None, direction):
        raise SpecError(
            f"{teacher.file} was made for the direction {teacher.direction}, and this is {direction}; pass "
            f"--direction {teacher.direction}, or another teacher"
        )
