"""What figures are called in sentences and tables for people: `fd_mobilenet_v2` is what one types."""

from __future__ import annotations

_NETWORKS = {"mobilenet_v2": "MobileNetV2", "inception": "Inception", "dinov2": "DINOv2", "clip": "CLIP"}
_MEASURES = {
    "fd": "Fréchet distance",
    "kd": "Kernel distance",
    "precision": "Precision",
    "recall": "Recall",
    "density": "Density",
    "coverage": "Coverage",
}
_TITLES = {
    **{f"{name}_{of}": f"{title} ({own})" for name, title in _MEASURES.items() for of, own in _NETWORKS.items()},
    "fid_legacy": "FID (as the papers)",
    "fid_clean": "FID (clean)",
    "fid_infinity": "FID (clean, extrapolated)",
    "fd_mobilenet_v2_infinity": "Fréchet distance (MobileNetV2, extrapolated)",
    "kid": "KID",
    "kid_legacy": "KID (as the papers)",
    "kd_clip": "CMMD (CLIP, times 1000)",
    "l1": "L1 difference",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "lpips_alex": "LPIPS (AlexNet)",
    "lpips_squeeze": "LPIPS (SqueezeNet)",
    "lpips_vgg": "LPIPS (VGG16)",
    "dists": "DISTS",
    "miou": "mIoU",
    "pixel_accuracy": "Pixel accuracy",
}


def title_of(metric: str) -> str:
    """The name of a metric in words; of one that is not known its own.

    >>> title_of("fd_mobilenet_v2"), title_of("teacher_ssim")
    ('Fréchet distance (MobileNetV2)', 'SSIM to the teacher')
    """
    if metric.startswith("teacher_"):
        return f"{title_of(metric.removeprefix('teacher_'))} to the teacher"
    return _TITLES.get(metric, metric)
