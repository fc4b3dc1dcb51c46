"""`rnnbench gpu`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from bench import ROOT, __version__, signals
from bench.cli.console import line, wrong_use
from bench.config import validation
from bench.config.options import default_reports
from bench.gpu import driver, pages, records
from bench.gpu.parts import MINUTES, Plan
from bench.gpu.records import Answer, GpuRun, PartRecord
from bench.gpu.runner import Runner, run_all
from bench.records import machine, provenance

PAGE = "gpu.md"

_Device = Annotated[str, typer.Option(help="cuda, cuda:N, or cpu for a rehearsal.")]
_Minutes = Annotated[float, typer.Option(min=0.1, help="For all parts together.")]
_Only = Annotated[str, typer.Option(help="Parts, comma-separated. Default: all.")]
_Reports = Annotated[
    Path | None,
    typer.Option(
        help="Where its folder goes. Default: reports/ in the clone of rnnbench, or outside of it "
        "in the current folder.",
    ),
]
_Name = Annotated[str, typer.Option(help="The name of its folder. Default: its time.")]
_Hang = Annotated[str, typer.Option(help="A rehearsal: a part that is made to hang.")]
_Fail = Annotated[str, typer.Option(help="A rehearsal: a part that is made to fail.")]


def gpu(
    device: _Device = "cuda",
    minutes: _Minutes = MINUTES,
    only: _Only = "",
    reports: _Reports = None,
    name: _Name = "",
    hang: _Hang = "",
    fail: _Fail = "",
) -> None:
    """Run everything that needs a GPU, part by part, and report what failed.

    Exit status: 0 all good, 1 something failed, 2 wrong use.
    """
    try:
        chosen = _one(validation.devices("device", device))
        kind = "gpu-rehearsal" if chosen == "cpu" else "gpu"
        where = reports or default_reports(Path.cwd())
        folder = where / (name or f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{kind}")
        plan = Plan(folder.absolute(), chosen)
        parts = _parts(plan, "only", only)
        replaced = dict.fromkeys(_parts(plan, "hang", hang), "hang")
        replaced |= dict.fromkeys(_parts(plan, "fail", fail), "fail")
    except ValueError as error:
        wrong_use(str(error))
    if chosen != "cpu" and not driver.there():
        wrong_use(
            f"--device {device}: the driver names no NVIDIA GPU on this machine (nvidia-smi, NVML, "
            "/dev); expected one, or --device cpu for a rehearsal"
        )
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        wrong_use(f"{folder}: {error.strerror}")
    report = Report(folder, plan, minutes)
    runner = Runner(folder, minutes, report.add, replaced=replaced)
    status = 1
    try:
        run_all(plan, runner, parts, report.know)
    except KeyboardInterrupt:
        status = signals.received.exit_status
    report.end(runner.seconds)
    raise typer.Exit(0 if report.run.good else status)


class Report:
    """The record of a run while it grows: a line is printed and the files are written for each
    part.
    """

    def __init__(self, folder: Path, plan: Plan, minutes: float) -> None:
        self._folder = folder
        self.run = GpuRun(
            name=folder.name,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            device=plan.device,
            minutes=minutes,
            seconds=0.0,
            project=__version__,
            commit=provenance.commit(ROOT),
            machine=machine.describe(),
            gpus=driver.names(),
        )

    def know(self, answers: Sequence[Answer]) -> None:
        """What the variants find."""
        self.run = replace(self.run, answers=tuple(answers))

    def add(self, part: PartRecord) -> None:
        """A part has ended."""
        self.run = replace(self.run, parts=(*self.run.parts, part))
        line(pages.line(part))
        self._write()

    def end(self, seconds: float) -> None:
        """Print the summary, last of all."""
        self.run = replace(self.run, seconds=round(seconds, 1))
        self._write()
        line()
        for words in pages.summary(self.run, str(self._folder)):
            line(words)

    def _write(self) -> None:
        records.write(self._folder, self.run)
        (self._folder / PAGE).write_text(pages.page(self.run), encoding="utf-8")


def _one(devices: Sequence[str]) -> str:
    if len(devices) != 1:
        raise ValueError(f"--device {','.join(devices)}: expected a single device")
    return devices[0]


def _parts(plan: Plan, option: str, value: str) -> tuple[str, ...]:
    return validation.names(option, value, plan.names()) if value else ()
