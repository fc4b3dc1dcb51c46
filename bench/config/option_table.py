"""The options of a run, as pytest is given them and as `rnnbench run --help` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from bench.config.data.known import ENCODING, MOST_WORDS, TOKENS
from bench.config.fields import ALL_THREADS, DEFAULT_THREADS, OPTIMIZERS, SIZES
from bench.config.grid import DEFAULT_OPTIMIZER
from bench.config.phases import LEARN, PHASES
from bench.config.protocol import LEAST_ROUNDS, TIMED_SECONDS, Settings
from tasks import DEFAULT_TASKS
from tasks.inputs import PADDINGS, VALUES
from tasks.spec import CELLS, Loss, Readout, Reduction

DEFAULT_PHASES = ("forward", "bptt")
TRAINING = ("bptt", "train_step", LEARN)  # the phases in which dropout acts
DEFAULT_TIMEOUT = "600"
DEFAULT_PROCESSES = "1"


@dataclass(frozen=True)
class Option:
    """One option of the command line."""

    name: str  # without its dashes
    help: str
    metavar: str = ""  # empty: a switch, which takes no value
    default: str | None = None  # its value where it is not given
    repeats: bool = False  # it may be given several times

    @property
    def destination(self) -> str:
        """Its name in pytest's configuration."""
        return self.name.replace("-", "_")


WHAT = (
    Option(
        "task",
        "Tasks of `rnnbench list`; all: every one but custom. Default: "
        f"{', '.join(DEFAULT_TASKS)}.",
        "LIST",
    ),
    Option(
        "backend",
        "Variants, as `rnnbench list` names them, or the word all. Default: those that it shows in "
        "a default run.",
        "LIST",
    ),
    Option("cell", f"{', '.join(CELLS)}. Default: the task's.", "LIST"),
    Option(
        "phase",
        f"Default: {','.join(DEFAULT_PHASES)}; or "
        f"{', '.join(phase for phase in PHASES if phase not in DEFAULT_PHASES)}.",
        "LIST",
    ),
    Option("device", "Devices: cpu, cuda:0, ... Default: cpu.", "LIST"),
    Option("dtype", "float32 (default), float64, bfloat16; on a GPU tf32.", "LIST"),
    Option(
        "optimizer",
        f"Of train_step: {', '.join(OPTIMIZERS)}. Default: {DEFAULT_OPTIMIZER}.",
        "LIST",
    ),
    Option("updates", "Of learn, at most. Default: those of the target.", "N"),
    Option("preset", "A published run; `rnnbench list` shows all of them.", "NAME"),
    Option(
        "workload",
        "A workload file; other options override it.",
        "FILE",
        repeats=True,
    ),
    Option("data", "Texts of your own (docs/data.md). Of some tasks.", "FILE"),
    Option("columns", "Of text and label there: document,label or 6,1.", "A,B"),
    Option("encoding", f"Of that file. Default: {ENCODING}.", "NAME"),
    Option("tokens", f"{', '.join(TOKENS)}. Default: between spaces.", "WORD"),
    Option("max-vocab", f"Words at most. Default: {MOST_WORDS}.", "N"),
    Option("min-count", "A word of it comes so often. Default: 1.", "N"),
)
SIZE = (
    Option(
        "size",
        f"{', '.join(SIZES)}. Default: base; some: source.",
        "LIST",
    ),
    Option("batch", "B, the sequences in a batch.", "LIST"),
    Option("steps", "T, the time steps.", "LIST"),
    Option("steps-vary", "Each call comes with another of these T.", "LIST"),
    Option("input", "D, the size of the input or of the embedding.", "LIST"),
    Option("hidden", "H, the size of the hidden state.", "LIST"),
    Option("layers", "L, the number of recurrent layers.", "LIST"),
    Option("vocab", "V, the tokens of the vocabulary. Of some tasks.", "LIST"),
    Option("classes", "C, the outputs of the head; 0: no head.", "LIST"),
)
MODEL = (
    Option("bidirectional", "Every layer runs in both directions."),
    Option(
        "dropout",
        "This share is dropped between layers in training.",
        "LIST",
    ),
    Option("no-bias", "The recurrent layers have no bias."),
    Option("frozen-embedding", "The embedding is given and not trained."),
    Option("readout", f"{', '.join(get_args(Readout))}. Of custom.", "LIST"),
    Option("loss", f"{', '.join(get_args(Loss))}. Of custom.", "LIST"),
    Option("time-reduction", f"Of the loss over steps: {', '.join(get_args(Reduction))}.", "LIST"),
    Option("initial-state", "Every layer starts from a random state, not zeros."),
    Option("stateful", "Train steps carry the state from batch to batch."),
    Option("weighted", "Each step has a random weight in the loss."),
    Option(
        "values",
        f"Of the inputs: {', '.join(VALUES)} (forward in float32).",
        "LIST",
    ),
    Option("lengths", "own, uniform, sorted, or a share of padding.", "LIST"),
    Option("padding", f"{', '.join(PADDINGS)} (no lengths). Default: both.", "LIST"),
    Option("weights", "Parameters to start from: NPZ, by canonical names.", "FILE"),
    Option("embedding", "The embedding, as word2vec or GloVe. Of some tasks.", "FILE"),
)
HOW = (
    Option(
        "threads",
        f"`{ALL_THREADS}` (default): one a core; `{DEFAULT_THREADS}`: left alone.",
        "LIST",
    ),
    Option("processes", f"Fresh processes of each variant. Default: {DEFAULT_PROCESSES}.", "K"),
    Option("precision", "3%: processes until a ratio is known to ±3 %.", "PERCENT"),
    Option("budget", "10min: as many processes as the run has time for.", "TIME"),
    Option(
        "serial",
        "All variants run in this process; none is compared.",
    ),
    Option(
        "worker-timeout",
        f"Seconds for one answer of a worker. Default: {DEFAULT_TIMEOUT}.",
        "S",
        DEFAULT_TIMEOUT,
    ),
    Option("workload-timeout", "Seconds for a workload, all its variants together.", "S"),
    Option("run-timeout", "Seconds for the run; --resume measures the rest.", "S"),
    Option("max-memory", "Memory that each worker may hold: 500M, 4G.", "SIZE"),
    Option("queue", "Waits where another timed run uses the same cores."),
    Option("dry-run", "Shows the workloads and the expected time, no more."),
)
WHERE = (
    Option(
        "reports",
        "Where its folder goes. Default: reports/ in the clone of rnnbench, or outside of it here.",
        "DIR",
    ),
    Option("run-name", "The name of that folder. Default: the time.", "NAME"),
    Option("resume", "Measures what this run lacks: its folder or name.", "RUN"),
)
OWN = (*WHAT, *SIZE, *MODEL, *HOW, *WHERE)

# Those of pytest-benchmark that have a meaning here.
PYTEST_BENCHMARK = (
    Option(
        "benchmark-max-time",
        f"Seconds for a variant in a workload. Default: {Settings.max_seconds}.",
        "S",
    ),
    Option("benchmark-min-rounds", f"Rounds at the least; {LEAST_ROUNDS} are always run.", "N"),
    Option(
        "benchmark-min-time",
        f"Seconds of a block at the least; it has always {TIMED_SECONDS:g}.",
        "S",
    ),
    Option("benchmark-json", "A further place for its JSON, benchmark.json.", "FILE"),
    Option("benchmark-save", "Saves the results under this name.", "NAME"),
    Option("benchmark-autosave", "Saves the results under the commit and the time."),
    Option("benchmark-storage", "Where it saves results. Default: ./.benchmarks", "DIR"),
    Option("benchmark-compare", "Shows saved results too; by default the last.", "[N]"),
    Option("benchmark-compare-fail", "Fails where one is slower, as in mean:5%.", "EXPR"),
    Option("benchmark-histogram", "Draws the rounds.", "[FILE]"),
    Option("benchmark-group-by", "Groups its table, as by param:variant.", "BY"),
    Option("benchmark-sort", "Sorts its table by this column.", "NAME"),
    Option("benchmark-columns", "The columns of its table.", "LIST"),
)

GROUPS: Mapping[str, tuple[Option, ...]] = {
    "What is measured": WHAT,
    "The size of the model and of the batch": SIZE,
    "The model and its batches otherwise": MODEL,
    "How it is measured": HOW,
    "Where the report goes": WHERE,
    "Options of pytest-benchmark": PYTEST_BENCHMARK,
}

# Those that shape its table, or show something in it: without them the answer takes its place.
TABLE = frozenset(
    f"--benchmark-{name}"
    for name in ("columns", "sort", "group-by", "name", "time-unit", "histogram", "compare")
)

# Options of pytest-benchmark that have no meaning here, and what to use for their purpose.
_IN_WORKERS = "the steps run in other processes; profile a script of your own, or use --serial"
REFUSED = {
    "--benchmark-timer": "steps are timed in the workers by time.perf_counter; see --dry-run",
    "--benchmark-cprofile": _IN_WORKERS,
    "--benchmark-cprofile-loops": _IN_WORKERS,
    "--benchmark-cprofile-top": _IN_WORKERS,
    "--benchmark-cprofile-dump": _IN_WORKERS,
    "--benchmark-warmup": "every block starts with warm-up steps, and a workload with a warm-up",
    "--benchmark-warmup-iterations": "every block starts with warm-up steps",
    "--benchmark-calibration-precision": "the length of a round is set by --benchmark-min-time",
    "--benchmark-precision": "use --benchmark-max-time or --benchmark-min-rounds",
    "--benchmark-confidence": "every interval of a report is one of 95 %",
    "--benchmark-disable-gc": "garbage collection is always off while steps are timed",
}
