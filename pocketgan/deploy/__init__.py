"""Shipping a network to the runtime that serves it."""

from pocketgan.deploy.latency import Latency, compare_onnx, onnx_latency, torch_latency
from pocketgan.deploy.onnx import export_onnx, export_verified, verify_onnx

__all__ = [
    "Latency",
    "compare_onnx",
    "export_onnx",
    "export_verified",
    "onnx_latency",
    "torch_latency",
    "verify_onnx",
]
