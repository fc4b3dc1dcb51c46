"""The checks of streams: what comes out step by step is what the oracle's forward pass gives.

A look is the result of one step of one stream, with the numbers of the inputs that it got since it
began. The oracle runs these inputs as one sequence, all sequences of many looks in one batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from backends.interface import Backend
from bench.config.phases import STREAM
from bench.correctness import comparison, oracle
from bench.correctness.asked_model import READ_LATE, Ask
from bench.correctness.checks import AFTER, WorkloadChecks
from bench.correctness.judged_answers import DURING
from bench.correctness.oracle import Reference, ReferenceCase, Tensors
from bench.records.schema import Agreement
from bench.records.workload import Workload
from bench.workers.seen_answers import SeenAnswer
from bench.workers.serialization import Packed, pack, unpack
from tasks.spec import Batch, ModelSpec, Params

# Steps that are compared before the first timed one, and after the last: of all streams together
# PASSES times as many as one has inputs, but at most MOST_STEPS, and no new ones after SECONDS.
PASSES, MOST_STEPS, SECONDS = 6, 300, 20.0
MOST_NUMBERS = 2**22  # of the oracle's inputs and states at a time

LOADED_LAST = "with parameters loaded after the inputs were placed"


@dataclasses.dataclass
class Run:
    """What was seen of one stream from its beginning until it began anew."""

    case: ReferenceCase
    path: np.ndarray  # (t,) the numbers of its inputs
    looks: dict[int, Tensors]  # by the number of the step, from 0: the results that were read


def steps_in_turn(ask: Ask, steps: int) -> Sequence[SeenAnswer]:
    """The results of many steps of the placed streams, each of which has T = `steps` inputs."""
    looks = min(MOST_STEPS, PASSES * steps)
    found: Sequence[SeenAnswer] = ask("look", phase=STREAM, looks=looks, seconds=SECONDS)
    return found


def compare(cases: Sequence[ReferenceCase], looked: Sequence[SeenAnswer], when: str) -> Agreement:
    """Compare all outputs, and the states after the last step that was read of each run.

    Stream number n is of case n, or of the last case. All cases have one model.
    """
    parts = _parts(_runs(cases, looked))
    return comparison.joined([_compare(part, when) for part in parts])


def _runs(cases: Sequence[ReferenceCase], looked: Sequence[SeenAnswer]) -> list[Run]:
    found: dict[tuple[int, int], Run] = {}
    for number, _, packed in looked:
        if packed is None:
            continue  # the very step that was seen before
        host = unpack(packed)
        path, run = host.pop("path"), int(host.pop("run"))
        case = cases[min(number, len(cases) - 1)]
        one = found.setdefault((number, run), Run(case, path, {}))
        one.looks[len(path) - 1] = host
        one.path = max(one.path, path, key=len)
    return list(found.values())


def _parts(runs: list[Run]) -> Iterator[list[Run]]:
    """The runs, as many at a time as fit."""
    spec = runs[0].case.spec
    runs = sorted(runs, key=lambda run: len(run.path))
    while runs:
        rows, steps = len(runs[0].case.batch.x), len(runs[-1].path)
        each = rows * steps * (spec.input_size + spec.num_layers * spec.gates * spec.hidden_size)
        count = max(1, MOST_NUMBERS // each)
        runs, part = runs[:-count], runs[-count:]
        yield part


def _compare(runs: list[Run], when: str) -> Agreement:
    reference = _reference(runs)
    outputs = [look for run in runs for _, look in sorted(run.looks.items())]
    last = [run.looks[max(run.looks)] for run in runs]
    actual: Tensors = {}
    names = dict.fromkeys(name for look in outputs for name in look)
    for name in names:
        looks = outputs if name == "outputs" else last
        expected = reference.tensors[name].shape[1:] if name in reference.tensors else None
        wrong = [look[name] for look in looks if name in look and look[name].shape != expected]
        if wrong:
            actual[name] = wrong[0]
        elif all(name in look for look in looks):
            actual[name] = np.stack([look[name] for look in looks])
    return comparison.compare(reference, "forward", actual, when)


def _reference(runs: list[Run]) -> Reference:
    """outputs (N,B,C) of the N looks, and the states (R,B,H) at the end of the R runs."""
    case = runs[0].case
    # A stream gives an output at every step, also of a net whose last output alone is read.
    spec = dataclasses.replace(case.spec, readout="every_step", dropout=0.0)
    steps, count = max(len(run.path) for run in runs), len(runs)
    x = np.concatenate([_padded(run, steps) for run in runs])  # (R*B,T,D) | (R*B,T)
    lengths = np.repeat([len(run.path) for run in runs], len(x) // count)
    state = None
    if case.batch.state is not None:
        states = [run.case.batch.state or {} for run in runs]
        state = {name: np.concatenate([one[name] for one in states]) for name in states[0]}
    batch = Batch(x, _no_targets(spec, len(x), steps), state=state, lengths=lengths)
    rows, at = zip(*((n, t) for n, run in enumerate(runs) for t in sorted(run.looks)), strict=True)

    def run_with(backend: Backend, params: Params, batch: Batch, dtype: str) -> Tensors:
        model = backend.build(spec, params, device="cpu", dtype=dtype)
        host = model.to_host(model.forward(model.place(batch)))
        split = {name: value.reshape(count, -1, *value.shape[1:]) for name, value in host.items()}
        return split | {"outputs": split["outputs"][list(rows), :, list(at)]}

    dtype, device = case.expected.dtype, case.expected.device
    return oracle.bounded(run_with, case.params, batch, dtype, device)


def _padded(run: Run, steps: int) -> np.ndarray:
    """Its inputs (B,T,D) or (B,T), with the last one again behind its end."""
    path = np.concatenate([run.path, np.repeat(run.path[-1:], steps - len(run.path))])
    return run.case.batch.x[:, path]


def _no_targets(spec: ModelSpec, rows: int, steps: int) -> np.ndarray:
    """Targets that fit the model, for a pass that needs none."""
    if spec.loss == "cross_entropy":
        return np.zeros((rows, steps), np.int64)
    return np.zeros((rows, steps, spec.logit_size))


@dataclasses.dataclass
class JudgedStreams:
    """What the timed steps of streams return; the oracle waits until the rounds are over."""

    cases: Sequence[ReferenceCase]
    count: int = 0
    _looked: list[SeenAnswer] = dataclasses.field(default_factory=list)

    def judge(self, looked: Sequence[SeenAnswer]) -> list[Agreement]:
        """Keep them; nothing is compared yet."""
        self._looked += looked
        self.count += len(looked)
        return []

    def finish(self) -> list[Agreement]:
        """The comparison of all."""
        return [compare(self.cases, self._looked, DURING)] if self._looked else []


class StreamChecks(WorkloadChecks):
    """The checks of a workload of streams; in its worker every placed batch is a stream."""

    def __init__(self, workload: Workload, seed: int, *, timed: bool = True) -> None:
        super().__init__(workload, seed, timed=timed)
        self._fresh = with_state(self._fresh, seed)

    def before(self, ask: Ask, variant: str) -> tuple[float, float | None, Agreement]:
        """Seconds of the first step, no loss, and the comparison of many steps in turn."""
        seconds, _ = self._model(ask).call(self.workload.phase)
        return seconds, None, compare(self._cases, self._steps(ask), "")

    def last(self, ask: Ask) -> Agreement | None:
        """None: the last timed step was looked at in its block."""
        return None

    def looks(self, ask: Ask, variant: str) -> JudgedStreams:
        return JudgedStreams(self._cases)

    def after(self, ask: Ask, variant: str, block_steps: int) -> Agreement:
        """Compare with inputs and given states, then parameters, that the model has not seen."""
        model, phase = self._model(ask), self.workload.phase
        model.renew(self._first, self._fresh)
        ask("look", phase=phase, looks=len(self._fresh.batch.x[0]))
        model.reload(self._fresh)
        found = [compare([self._fresh], self._steps(ask), f"{AFTER}, {LOADED_LAST}")]
        late: Packed = ask("read_late", phase=phase, params=pack(self._first.params))
        found.append(compare([self._fresh], [(0, "", late)], READ_LATE))
        return comparison.joined(found)

    def _steps(self, ask: Ask) -> Sequence[SeenAnswer]:
        return steps_in_turn(ask, self.workload.steps)


def checks_of(workload: Workload, seed: int, *, timed: bool = True) -> WorkloadChecks:
    """The checks of a workload: of streams, or of whole batches."""
    kind = StreamChecks if workload.phase == STREAM else WorkloadChecks
    return kind(workload, seed, timed=timed)


def with_state(case: ReferenceCase, seed: int) -> ReferenceCase:
    """The same from a given state, so that what `begin` gets is used."""
    rng, shape = np.random.default_rng(seed), (len(case.batch.x), case.spec.hidden_size)
    state = {f"{name}0": rng.uniform(-0.5, 0.5, shape) for name in case.spec.state_names()}
    batch = dataclasses.replace(case.batch, state=state)
    params, batch = oracle.rounded(case.expected.dtype, case.params, batch)
    return dataclasses.replace(case, params=params, batch=batch)
