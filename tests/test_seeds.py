import hashlib

import pytest

from pocketgan.seeds import derive_seed


def test_is_the_first_63_bits_of_sha256():
    expected = int(hashlib.sha256(b'[7, "order", 3]').hexdigest()[:16], 16) // 2
    assert derive_seed(7, "order", 3) == expected
    assert 0 <= expected < 2**63


def test_every_part_its_type_and_place_count():
    seeds = [derive_seed(*parts) for parts in [(1, 2), (2, 1), (12,), ("1", 2), (1.0, 2), (1, 2, 0), ()]]
    assert len(set(seeds)) == len(seeds)


def test_refuses_what_has_no_canonical_form():
    with pytest.raises(Exception, match="object"):
        derive_seed(object())
