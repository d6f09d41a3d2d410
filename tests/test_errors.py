"""What users read where a name does not exist."""

import pytest

from pocketgan.errors import unknown

NAMES = ["fid_clean", "fid_legacy", "kid", "l1", "lpips", "psnr", "ssim"]


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("psrn", "did you mean psnr?"),
        ("fid_lagacy", "did you mean fid_legacy or fid_clean?"),
        ("lpipz", "did you mean lpips?"),
        ("sharpness", "there are fid_clean, fid_legacy, kid, l1, lpips, psnr and 1 more"),
        ("", "there are fid_clean, fid_legacy, kid, l1, lpips, psnr and 1 more"),
    ],
)
def test_only_near_names_are_offered(name: str, rest: str):
    assert str(unknown("metric", name, NAMES)) == f"unknown metric '{name}'; {rest}"


def test_few_names_are_all_told():
    assert (
        str(unknown("runtime", "tensorrt", ["torch", "onnx"]))
        == "unknown runtime 'tensorrt'; there are onnx, torch"
    )
