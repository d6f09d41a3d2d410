import itertools

import pytest
import torch

from pocketgan.search.policy import Policy

OPTIONS = (3, 1, 2, 4)


@pytest.fixture
def policy():
    """With weights large enough to prefer some genomes to others."""
    policy = Policy(OPTIONS, 5, torch.Generator().manual_seed(3))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter *= 25
    return policy


@pytest.fixture
def everything():
    return torch.tensor(list(itertools.product(*map(range, OPTIONS))))


def test_it_is_a_distribution_over_all_genomes(policy, everything):
    log, entropy = policy(everything)
    probabilities = log.exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-12)
    assert probabilities.max() > 3 * probabilities.min()
    # The chain rule: the entropies met on the way, on average, are the entropy of the whole.
    assert (probabilities * entropy).sum().item() == pytest.approx(-(probabilities * log).sum().item(), abs=1e-12)


def test_later_choices_know_earlier_ones(policy, everything):
    probabilities = policy(everything)[0].exp().reshape(OPTIONS).sum(dim=(1, 2))
    last = probabilities / probabilities.sum(dim=1, keepdim=True)
    assert (last[0] - last[1]).abs().max() > 0.01


def test_it_draws_what_is_likely(policy, everything):
    drawn = policy.sample(20_000, torch.Generator().manual_seed(0))
    shares = (drawn[:, None] == everything[None]).all(2).double().mean(0)
    assert torch.allclose(shares, policy(everything)[0].exp(), atol=0.01)
    assert torch.equal(drawn, policy.sample(20_000, torch.Generator().manual_seed(0)))


def test_at_first_nearly_every_genome_is_equally_likely(everything):
    log, _ = Policy(OPTIONS, 32, torch.Generator().manual_seed(0))(everything)
    assert log.exp().tolist() == pytest.approx([1 / 24] * 24, rel=0.4)


def test_nobody_elses_random_numbers_are_drawn():
    before = torch.get_rng_state()
    Policy(OPTIONS, 5, torch.Generator().manual_seed(3)).sample(4, torch.Generator())
    assert torch.equal(torch.get_rng_state(), before)
