"""Shipping a network to the runtime that serves it."""

from pocketgan.deploy.latency import Latency, latencies
from pocketgan.deploy.onnx import export_onnx
from pocketgan.deploy.ship import Verified, export_verified, verify

__all__ = [
    "Latency",
    "Verified",
    "export_onnx",
    "export_verified",
    "latencies",
    "verify",
]
