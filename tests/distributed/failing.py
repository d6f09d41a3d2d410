"""Two processes of which one ends in some way while the other waits: `python -m tests.distributed.failing HOW`."""

import os
import signal
import sys
import time

import torch

from pocketgan.cli import carry_through
from pocketgan.distributed import enter, launch, launched
from pocketgan.errors import DataError

HOW = sys.argv[1]


def work() -> None:
    if launched() is None:
        sys.exit(launch([sys.executable, "-m", "tests.distributed.failing", HOW], 2))
    here = enter(torch.device("cpu"))
    here.wait()
    if HOW == "terminated":
        if here.leads:
            print("ready", flush=True)
        time.sleep(60)
    if here.rank == 1 and HOW == "error":
        raise DataError("image 7 is damaged; remove it")
    if here.rank == 1 and HOW == "bug":
        raise AssertionError("a mistake of ours")
    if here.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    here.wait()


if __name__ == "__main__":
    carry_through(work)
