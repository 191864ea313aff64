"""Runs one part of the demo so that it ends when the demo ends, however that ends.

The demo keeps the writing end of a pipe and gives the reading end to each part. Nothing is ever written: when the demo is
gone, even by SIGKILL, the kernel closes the pipe, and the part sees its end. `python -m carnet.demo.lifeline MODULE ARGUMENT…`
runs a module in this way.
"""

import os
import runpy
import signal
import sys
import threading

VARIABLE = "CARNET_DEMO_LIFELINE"


def hold(descriptor: int) -> None:
    """Watch the pipe; at its end ask this process to end as a Ctrl-C in a terminal would."""

    def watch() -> None:
        os.read(descriptor, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def main() -> None:
    hold(int(os.environ.pop(VARIABLE)))
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
