"""The parts of a run, in the order of their worth, with the time that each may take.

The seconds are those of a run of MINUTES; a longer run has as many times more, a shorter one
reaches fewer parts. Parts that time nothing run side by side, and a part that times something runs
`alone`. The sizes on the CPU are small: they rehearse the script, and measure nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from backends import registry
from bench import ROOT
from bench.gpu import devices, judge, reproductions
from bench.gpu.judge import Ended, Verdict
from bench.gpu.records import Answer
from tasks import DEFAULT_TASKS
from tasks.spec import CELLS

MINUTES = 8.0
DEVICES = "devices"
DEVICE_VARIABLE = "RNNBENCH_GPU_DEVICE"  # of the tests marked gpu: where a rehearsal runs them
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-v", "--tb=short")
SUITE = ("--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), str(ROOT / "bench/suite"))
MODEL = ("--layers=2", "--bidirectional")
AGREE_SECONDS, MORE_SECONDS = 80, 50  # of the agreement of a variant; for a further dtype
SMALL = ("--batch=16", "--steps=32", "--input=32", "--hidden=64")  # in place of a size, on the CPU


@dataclass(frozen=True)
class Part:
    """One part; `command` is what follows the Python, and `skip` why it cannot run here."""

    name: str
    proves: str
    command: tuple[str, ...]
    seconds: float
    judge: Callable[[Ended], Verdict]
    alone: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    skip: str = ""


@dataclass(frozen=True)
class Plan:
    """All parts of a run on `device`, given what the variants find; nothing is known of no answer.

    `folder` is where the parts leave what they measure.
    """

    folder: Path
    device: str
    answers: Sequence[Answer] = ()

    def parts(self) -> list[Part]:
        """In the order of worth, but for DEVICES, which comes before all of them."""
        return [*self._side_by_side(), *self._timed()]

    def names(self) -> list[str]:
        return [self.first().name, *(part.name for part in self.parts())]

    def first(self) -> Part:
        """The part that finds what is installed."""
        command = ("-m", "bench.gpu", "devices", self.device, str(self.folder / devices.FILE))
        proves = "at least one variant finds the device"
        return Part(DEVICES, proves, command, 45, judge.last_line, alone=True)

    @property
    def _rehearsal(self) -> bool:
        return self.device == "cpu"

    def _side_by_side(self) -> Iterator[Part]:
        yield self._tests()
        variants = devices.entries()
        for dtype in ("float32", "tf32"):
            yield from (self._agree(e, (dtype,), f"-{dtype}") for e in variants if e.default)
        yield self._double([entry for entry in variants if entry.default])
        yield from map(self._reproduction, reproductions.every())
        yield self._plugin()
        both = ("float32",) if self._rehearsal else ("float32", "tf32")
        yield from (self._agree(e, both) for e in variants if not e.default)

    def _tests(self) -> Part:
        """The tests marked gpu, less the one that the parts for agreement repeat."""
        file = "tests/test_gpu.py"
        command = (*PYTEST, file, "-m", "gpu", f"--deselect={file}::test_every_cell_agrees")
        proves = "a timed run counts memory, takes event times, and runs cuDNN; tests marked gpu"
        variables = {DEVICE_VARIABLE: self.device}
        return Part("tests", proves, command, 140, judge.tests, variables=variables)

    def _agree(self, entry: registry.Entry, dtypes: tuple[str, ...], suffix: str = "") -> Part:
        """Agreement of a variant: three workloads, all cells, two layers, both directions.

        One that compiles for long, and a rehearsal, are asked about a single task and fewer cells.
        """
        few = self._rehearsal or entry.slow_build
        tasks = ("hihello",) if few else (*DEFAULT_TASKS, "custom")
        cells = CELLS[:1] if few else CELLS
        train = (
            registry.ask(entry.name, "refusal", devices.PROBE, **self._asked("bptt")) is not None
        )
        phase = "train_step" if train else "bptt"
        command = self._asking((entry,), dtypes, f"--phase={phase}", tasks, cells)
        skip = devices.problem(self.answers, entry, self.device)
        if self._rehearsal and dtypes == ("tf32",):
            skip = "TF32 is an arithmetic of GPUs"
        if self._rehearsal and entry.slow_build:
            skip = "it compiles for minutes on a CPU"
        precise = " and ".join({"float32": "true float32", "tf32": "TF32"}[one] for one in dtypes)
        proves = f"{entry.name} agrees in {precise}"
        seconds = AGREE_SECONDS + MORE_SECONDS * (len(dtypes) - 1)
        name = f"agree-{entry.name}{suffix}"
        return Part(name, proves, command, seconds, judge.tests, skip=skip)

    def _double(self, entries: Sequence[registry.Entry]) -> Part:
        """Agreement in float64 of all variants that compute in it, on one task."""
        asked = self._asked("bptt") | {"dtype": "float64"}
        chosen = [
            entry
            for entry in entries
            if not self._problem(entry)
            and registry.ask(entry.name, "refusal", devices.PROBE, **asked) is None
        ]
        cells = CELLS[:1] if self._rehearsal else CELLS
        command = self._asking(chosen, ("float64",), "--phase=bptt", ("hihello",), cells)
        proves = "every variant that computes in float64 agrees in it"
        skip = self._none(chosen)
        return Part("agree-float64", proves, command, 80, judge.tests, skip=skip)

    def _asking(
        self,
        entries: Sequence[registry.Entry],
        dtypes: Sequence[str],
        phase: str,
        tasks: Sequence[str],
        cells: Sequence[str],
    ) -> tuple[str, ...]:
        """The suite without times, on MODEL at the size of the source."""
        return (
            *(*PYTEST, *SUITE, "--benchmark-disable", *MODEL, "--size=source", phase),
            f"--task={','.join(tasks)}",
            f"--cell={','.join(cells)}",
            *self._where(entries, dtypes),
        )

    def _asked(self, phase: str) -> dict[str, str]:
        return {"device": self.device, "dtype": "float32", "phase": phase}

    def _where(
        self, entries: Sequence[registry.Entry], dtypes: Sequence[str], *more: str
    ) -> tuple[str, ...]:
        where = ",".join((*more, self.device))
        names = ",".join(entry.name for entry in entries)
        threads = ("--threads=1",) if self._rehearsal else ()  # whoever else works here
        options = f"--device={where}", f"--dtype={','.join(dtypes)}", f"--backend={names}"
        return (*options, *threads)

    def _reproduction(self, found: reproductions.Reproduction) -> Part:
        missing = found.missing()
        skip = f"{' and '.join(missing)} is not installed" if missing else ""
        command = (str(found.file), self.device)
        return Part(found.name, found.title, command, 22, judge.reproduction, skip=skip)

    def _plugin(self) -> Part:
        """The conformance kit on the project's plugin for GPUs."""
        name, device = devices.PLUGIN, "cuda:0" if self._rehearsal else self.device
        skip = f"rnnbench-{name} is not installed: pip install -e plugins/rnnbench-{name}"
        if name in registry.table():
            skip = devices.problem(self.answers, registry.find(name), device)
        command = ("-m", "bench.cli", "check", name, "--device", device, "--models", "4")
        proves = f"rnnbench-{name} passes the conformance kit"
        return Part(f"check-{name}", proves, command, 110, judge.last_line, skip=skip)

    def _timed(self) -> Iterator[Part]:
        """What is timed; the frameworks themselves are the variants that need one module alone."""
        usable = [e for e in devices.entries() if e.default and not self._problem(e)]
        plain = [entry for entry in usable if len(entry.modules) == 1]
        lstm = ("--task=sentiment", "--cell=lstm")
        base, large, both = map(self._size, ("base", "large", "base,large"))
        every, bptt = "--phase=forward,bptt,train_step", "--phase=bptt"
        timed, preset = self._timed_part, self._preset
        yield timed("time", "base and large in every phase", 150, plain, *lstm, *both, every)
        yield timed("time-all", "every variant at base", 110, usable, *lstm, *base, bptt)
        yield self._clocks(plain)
        yield preset("flashrnn", "FlashRNN's size", 90, plain, bptt)
        yield preset("braun2018", "Braun's size", 60, plain, bptt)
        beside = () if self._rehearsal else ("cpu",)
        options = (*lstm, *base, bptt)
        yield timed("gpu-beside-cpu", "GPU beside CPU", 50, plain, *options, beside=beside)
        tf32 = "float32" if self._rehearsal else "tf32"
        yield timed("time-tf32", "TF32", 50, plain, *lstm, *large, bptt, dtype=tf32)
        yield preset("braun2018-long", "Braun's long sequences", 60, plain, bptt)
        yield preset("braun2018-deep", "Braun's deep net", 90, plain, bptt)

    def _size(self, names: str) -> tuple[str, ...]:
        return SMALL if self._rehearsal else (f"--size={names}",)

    def _problem(self, entry: registry.Entry) -> str:
        return devices.problem(self.answers, entry, self.device)

    def _preset(
        self, name: str, what: str, seconds: float, variants: Sequence[registry.Entry], *more: str
    ) -> Part:
        small = SMALL if self._rehearsal else ()
        return self._timed_part(name, what, seconds, variants, f"--preset={name}", *small, *more)

    def _timed_part(
        self,
        name: str,
        what: str,
        seconds: float,
        variants: Sequence[registry.Entry],
        *options: str,
        dtype: str = "float32",
        beside: tuple[str, ...] = (),
    ) -> Part:
        """A run of the suite of its own, with its records and report in `folder`."""
        command = (
            *(*PYTEST, *SUITE, "--benchmark-only", *options),
            *self._where(variants, (dtype,), *beside),
            f"--benchmark-max-time={0.02 if self._rehearsal else 0.3}",
            f"--reports={self.folder}",
            f"--run-name={name}",
        )
        found = partial(judge.timed, folder=self.folder / name, device=self.device)
        proves = f"{what}: timed, cuDNN by path, memory, event times"
        return Part(name, proves, command, seconds, found, alone=True, skip=self._none(variants))

    def _clocks(self, plain: Sequence[registry.Entry]) -> Part:
        variant = plain[0].name if plain else ""
        command = ("-m", "bench.gpu", "clocks", self.device, variant)
        proves = "the warm-up ends when the clock is steady"
        skip = self._none(plain)
        return Part("clocks", proves, command, 40, judge.last_line, alone=True, skip=skip)

    def _none(self, variants: Sequence[registry.Entry]) -> str:
        return "" if variants else f"no variant finds {self.device}"
