import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel, Costs, cost
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import BudgetError
from pocketgan.networks import ResnetSpec
from tests.elastic.toys import small_space

bound = st.none() | st.integers(1, 10**12)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2.6G", Budget(macs=2_600_000_000)),
        ("2600000000", Budget(macs=2_600_000_000)),
        (" 800 m ", Budget(macs=800_000_000)),
        ("1.5e9", Budget(macs=1_500_000_000)),
        ("macs=2.6G", Budget(macs=2_600_000_000)),
        ("true_macs=1G", Budget(true_macs=1_000_000_000)),
        ("macs=2.6G,params=400K", Budget(macs=2_600_000_000, params=400_000)),
        ("params=400K, latency_ms=12.5", Budget(params=400_000, latency_ms=12.5)),
        ("latency_ms=.5", Budget(latency_ms=0.5)),
        ("50M,latency=20ms", Budget(macs=50_000_000, latency_ms=20)),
        ("latency=7.5 ms", Budget(latency_ms=7.5)),
        ("size=400KB", Budget(params=100_000)),
        ("params=400K, true_macs=3M, 2G", Budget(macs=2 * 10**9, true_macs=3 * 10**6, params=400_000)),
    ],
)
def test_parse(text, wanted):
    assert Budget.parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flops=2G", "budget 'flops=2G' bounds 'flops'; bounds are macs, true_macs, params, size, latency"),
        ("=2G", "budget '=2G' bounds ''; bounds are macs, true_macs, params, size, latency"),
        ("latency=1ms,latency_ms=2", "budget 'latency=1ms,latency_ms=2' bounds 'latency_ms' twice; give it once"),
        ("params=9,size=1MB", "budget 'params=9,size=1MB' bounds 'size' twice; give it once"),
        ("size=400K", "budget 'size=400K' cannot be read; write bytes, as size=400KB"),
        ("2G,macs=3G", "budget '2G,macs=3G' bounds 'macs' twice; give it once"),
        ("latency_ms=1,latency_ms=2", "budget 'latency_ms=1,latency_ms=2' bounds 'latency_ms' twice; give it once"),
        *(
            (
                f"latency_ms={text}",
                f"budget 'latency_ms={text}' cannot be read; write milliseconds, as latency=12.5ms",
            )
            for text in ("", "0", "5s", "1e3", "-1", "ms", "0ms")
        ),
        (
            "much",
            "budget 'much' cannot be read; write a number with K, M or G, e.g. 2.6G, 800M or 1500000000",
        ),
        ("params=", "budget '' cannot be read; write a number with K, M or G, e.g. 2.6G, 800M or 1500000000"),
    ],
)
def test_unreadable(text, message):
    with pytest.raises(BudgetError) as error:
        Budget.parse(text)
    assert str(error.value) == message


def test_text():
    assert str(Budget.parse("macs=2.6G,params=400K")) == "2.60 G MACs, 400 k parameters"
    assert str(Budget(true_macs=10**9)) == "1.00 G true MACs"
    assert str(Budget()) == "none"
    assert str(Budget.parse("2G,latency_ms=12.5")) == "2.00 G MACs, 12.5 ms"


def test_a_latency_on_a_runtime():
    bound = Budget.parse("1G,latency=20ms", "openvino:2")
    assert (bound.latency_ms, bound.runtime) == (20, "openvino:2")
    assert str(bound) == "1.00 G MACs, 20.0 ms on openvino:2"
    assert bound.arithmetic == Budget(macs=10**9)
    assert Budget.model_validate_json(bound.model_dump_json()) == bound
    with pytest.raises(BudgetError, match=r"^--runtime openvino is for .* and budget '1G' has none"):
        Budget.parse("1G", "openvino")
    with pytest.raises(ValidationError, match="a runtime is for a bound on the latency"):
        Budget(macs=5, runtime="openvino:1")


def test_latency_is_told_apart():
    """It stands in no JSON where there is none, is none of `bounds`, and no arithmetic passes over it."""
    assert Budget(macs=5).model_dump(mode="json") == {"macs": 5, "true_macs": None, "params": None}
    both = Budget(macs=10**9, latency_ms=2)
    assert Budget.model_validate_json(both.model_dump_json()) == both
    assert both.bounds == {"macs": 10**9}
    space = small_space(blocks=1)
    with pytest.raises(BudgetError) as error:
        both.check(space, CostModel(space.spec, 16))
    assert str(error.value) == (
        "budget 'latency_ms=2' bounds what is measured after a search only; "
        "bound macs, true_macs, params here, and pick by latency from the finished run"
    )


@given(bounds=st.tuples(bound, bound, bound), used=st.lists(st.tuples(*[st.integers(1, 10**12)] * 3), min_size=1))
def test_admits(bounds, used):
    macs, true_macs, params = bounds
    costs = Costs(**dict(zip(("macs", "true_macs", "params"), np.array(used).T, strict=True)))
    wanted = [all(b is None or u <= b for u, b in zip(own, bounds, strict=True)) for own in used]
    assert Budget(macs=macs, true_macs=true_macs, params=params).admits(costs).tolist() == wanted


def test_a_bound_is_kept_when_met_exactly():
    space = small_space(blocks=1)
    model = CostModel(space.spec, 16)
    smallest = model.one(space.widths(space.smallest))
    Budget(**smallest).check(space, model)
    for name, value in smallest.items():
        with pytest.raises(BudgetError):
            Budget(**{name: value - 1}).check(space, model)


def test_smallest_subnet_over_the_budget():
    space = space_named("channels-48", ResnetSpec.uniform(1).mobile)
    model = CostModel(space.spec, 256)
    with pytest.raises(BudgetError) as error:
        Budget.parse("2.6G").check(space, model)
    assert str(error.value) == (
        "budget 2.60 G MACs is below the smallest subnet of channels-48 "
        "(3.29 G: 32_32_32_32_32_32_16_16); raise it or choose a smaller space"
    )
    with pytest.raises(BudgetError) as error:
        Budget(macs=10**10, params=100_000).check(space, model)
    assert str(error.value) == (
        "budget 100 k parameters is below the smallest subnet of channels-48 "
        "(461 k: 32_32_32_32_32_32_16_16); raise it or choose a smaller space"
    )


def test_smallest_subnet_of_a_space_with_depth_and_kernels():
    space = space_named("4_2,depth=2_1,kernel=5_3", ResnetSpec.uniform(1))
    model = CostModel(space.spec, 16)
    least = cost(ResnetSpec.uniform(2, blocks=1), 16)["macs"]
    Budget(macs=least).check(space, model)
    with pytest.raises(BudgetError) as error:
        Budget(macs=least - 1).check(space, model)
    assert "the smallest subnet of 4_2,depth=2_1,kernel=5_3 (" in str(error.value)
    assert ": 2_2_2_2_2_2_2,depth=1,kernel=3); raise it" in str(error.value)
