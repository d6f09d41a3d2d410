"""Sorting: the function stays, and leading channels are the important ones."""

from pathlib import Path

import torch

from pocketgan.elastic.spaces import space_named
from pocketgan.elastic.supernet import Supernet
from pocketgan.models import load_model, save_model
from pocketgan.networks import MunitSpec, ResnetSpec
from pocketgan.pipeline.sort_channels import SortChannels
from pocketgan.pipeline.stage import Workspace
from pocketgan.pipeline.supernets import KERNELS, load_supernet, save_kernels
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.runtime import Runtime
from tests.elastic.toys import filled, image

GIVEN = TeacherFile(generator=ResnetSpec.uniform(1), content="c1")
STAGE = SortChannels(network=GIVEN)


def run(folder: Path) -> Path:
    """What the stage makes of the artifact in `folder / "in"`."""
    (folder / "out").mkdir()
    work = Workspace(
        folder=folder,
        artifact=folder / "out",
        cache=folder,
        inputs=lambda stage: folder / "in",
        runtime=Runtime(device="cpu"),
        progress=lambda done, total: None,
    )
    STAGE.run(work)
    return folder / "out" / "model"


@torch.no_grad()
def test_every_depth_and_kernel_of_a_supernet_stays(tmp_path):
    space = space_named("3,depth=3_1,kernel=5_3", ResnetSpec.uniform(1, separable=("residual",), norm="batch"))
    made, x = filled(Supernet(space.spec)).eval(), image().float()
    save_model(tmp_path / "in" / "model", made.network, {"size": [16, 16], "made_by": "x"})
    save_kernels(tmp_path / "in" / "model", made)
    again = load_supernet(run(tmp_path), space.spec)
    assert not torch.equal(again.network.stem.conv.weight, made.network.stem.conv.weight)
    for depth in (3, 1):
        for kernel in (5, 3):
            spec = space.subspec((*space.largest[:-2], depth, kernel))
            torch.testing.assert_close(again(x, spec), made(x, spec), rtol=1e-3, atol=1e-4)
    norms = again.network.stem.conv.weight.abs().flatten(1).sum(1)
    assert norms.tolist() == sorted(norms.tolist(), reverse=True)
    assert load_model(tmp_path / "out" / "model").card == {"size": [16, 16], "made_by": STAGE.address}


@torch.no_grad()
def test_any_network_is_sorted(tmp_path):
    network, x = filled(MunitSpec.uniform(2, blocks=2, mlp_width=5).build()).eval(), image().float()
    save_model(tmp_path / "in" / "model", network, {})
    folder = run(tmp_path)
    torch.testing.assert_close(load_model(folder).network(x), network(x), rtol=1e-3, atol=1e-4)
    assert not (folder / KERNELS).exists()


def test_as_a_stage():
    assert list(STAGE.inputs()) == [GIVEN]
    assert STAGE.address.startswith("sort-channels-")
    assert STAGE.digest != SortChannels(network=GIVEN.model_copy(update={"content": "c2"})).digest
    assert STAGE.spec() == GIVEN.spec()
