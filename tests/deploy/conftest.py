import pytest


@pytest.fixture(autouse=True)
def exports(real_export: None) -> None:
    """Exports are a subject of these tests."""
