"""How somebody else's code keeps the plain network: a second file, where checkpoints are to be imported."""

from pocketgan.networks.plain import PlainSpec

from pocketgan.interop.layouts.base import Recognised, divided

KINDS = ("plain",)


def names(spec):
    return {"first.conv": "net.0", "inner.conv": "net.2", "last": "net.4"}


def recognise(state):
    if "net.2.weight" not in state:
        return None
    return Recognised(PlainSpec(widths=(len(state["net.0.weight"]), divided(len(state["net.2.weight"]), 2))))
