"""Shipping a network to the runtime that serves it."""

from pocketgan.deploy.latency import Latency, latencies
from pocketgan.deploy.onnx import export_onnx, export_verified, verify_onnx

__all__ = [
    "Latency",
    "export_onnx",
    "export_verified",
    "latencies",
    "verify_onnx",
]
