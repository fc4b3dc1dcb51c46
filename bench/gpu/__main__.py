"""The programs of some parts: `python -m bench.gpu ask | devices | clocks | hang | fail`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from bench.gpu import clocks, devices, rehearsal


def main(program: str, *arguments: str) -> int:
    """The exit status."""
    if program == "ask":
        name, device = arguments
        sys.stdout.buffer.write(msgspec.json.encode(devices.ask(name, device)))
        return 0
    if program == "devices":
        device, file = arguments
        return 0 if devices.report(device, Path(file)) else 1
    if program == "clocks":
        device, variant = arguments
        return 0 if clocks.report(device, variant) else 1
    {"hang": rehearsal.hang, "fail": rehearsal.fail}[program]()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
