import random

import torch

from pocketgan.objectives.pool import ImagePool
from pocketgan.training.state import load_state, save_state


def images(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def numbers(batch: torch.Tensor) -> list[float]:
    return batch[:, 0, 0, 0].tolist()


def test_it_fills_first():
    pool, rng = ImagePool(4), random.Random(0)
    assert numbers(pool.exchange(images(1, 2), rng)) == [1, 2]
    assert numbers(pool.exchange(images(3, 4), rng)) == [3, 4]
    assert rng.random() == random.Random(0).random(), "nothing was drawn"


def test_afterwards_it_is_the_published_rule():
    """Written out: with probability 1/2 a stored image is given, and the new one takes its place."""
    pool, rng, oracle = ImagePool(3), random.Random(5), random.Random(5)
    pool.exchange(images(-1, -2, -3), rng)
    stored, swaps = [-1, -2, -3], 0
    for new in range(200):
        wanted = new
        if oracle.random() < 0.5:
            place = oracle.randrange(3)
            wanted, stored[place], swaps = stored[place], new, swaps + 1
        assert numbers(pool.exchange(images(new), rng)) == [wanted]
    assert 70 < swaps < 130
    assert numbers(torch.stack(pool.images)) == stored


def test_zero_is_off():
    rng = random.Random(0)
    assert numbers(ImagePool(0).exchange(images(1, 2, 3), rng)) == [1, 2, 3]
    assert rng.random() == random.Random(0).random()


def test_what_it_gives_has_no_history():
    pool = ImagePool(1)
    batch = images(1.0, 2.0, 3.0).clone().requires_grad_()
    given = pool.exchange(batch * 2, random.Random(1))
    assert not given.requires_grad
    assert not any(image.requires_grad for image in pool.images)
    assert all(image.untyped_storage().nbytes() == image.nbytes for image in pool.images), "not the whole batch"


def test_state_round_trip(tmp_path):
    first, second = ImagePool(3), ImagePool(3)
    first.exchange(images(1, 2), random.Random(0))
    save_state(first.state_dict(), tmp_path / "state")
    second.load_state_dict(load_state(tmp_path / "state"), torch.device("cpu"))
    a, b = random.Random(3), random.Random(3)
    for new in range(3, 30):
        assert torch.equal(first.exchange(images(new), a), second.exchange(images(new), b))
