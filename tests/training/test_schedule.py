import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgan.training.schedule import Schedule


@given(constant=st.integers(0, 50), decay=st.integers(0, 50))
def test_constant_then_a_straight_line(constant, decay):
    """D + 1 equal steps from 1 to 0, the last of which is not reached."""
    if constant + decay == 0:
        return
    schedule = Schedule(constant=constant, decay=decay)
    wanted = [1.0] * constant + [1 - step / (decay + 1) for step in range(1, decay + 1)]
    assert schedule.epochs == len(wanted)
    assert [schedule.factor(epoch) for epoch in range(schedule.epochs)] == pytest.approx(wanted)


def test_published_example():
    """100 + 150 epochs at 2e-4: the last epoch still learns."""
    schedule = Schedule(constant=100, decay=150)
    assert 2e-4 * schedule.factor(99) == 2e-4
    assert 2e-4 * schedule.factor(249) == pytest.approx(2e-4 / 151)


def test_halving_counts_steps():
    """MUNIT: half after 100,000 steps, a quarter after 200,000; it multiplies with the straight line."""
    schedule = Schedule(constant=21, batch_size=1, halving=100_000)
    assert [schedule.factor(0, step) for step in (0, 99_999, 100_000, 250_000)] == [1, 1, 0.5, 0.25]
    assert Schedule(constant=0, decay=1, halving=2).factor(0, 2) == 0.25
