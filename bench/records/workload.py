"""A workload: one point of the grid. What is computed, where, and in which arithmetic."""

from __future__ import annotations

import msgspec

from tasks.inputs import InputOptions
from tasks.memory import step_bytes
from tasks.spec import ModelSpec, OptimizerSpec, parameter_count
from tasks.task import Size

LETTERS = {"batch": "B", "steps": "T", "input": "D", "hidden": "H", "layers": "L"}
LEARN = "learn"  # the phase that trains until the target of the task is reached
LEFT_ALONE = 0  # threads: each framework takes as many as it likes, and nothing is pinned
ITEM_BYTES = {"float64": 8}  # of one number in each arithmetic; 4 in the others


class GivenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of parameters, by name and content; never by its path."""

    name: str
    sha256: str


class DataSet(GivenFile, frozen=True, kw_only=True):
    """A file of data by name and content, and how it was read; never by its path or its texts.

    The same content that is read in the same way is equal under any name.
    """

    columns: tuple[str, ...]  # of text and label, by name or number; (): those of the format
    encoding: str
    tokens: str  # "spaces" | "characters": what separates them, or what they are
    max_vocab: int  # words of the vocabulary at most, without padding and unknown words
    min_count: int  # a word of the vocabulary comes so often

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataSet) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def _content(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__struct_fields__ if name != "name")

    @property
    def reading(self) -> str:
        """How it was read: "columns 6,1, latin-1, spaces, at most 10000 words, ..."."""
        columns = f"columns {','.join(self.columns)}, " if self.columns else ""
        words = f"at most {self.max_vocab} words that come {self.min_count} times"
        return f"{columns}{self.encoding}, {self.tokens}, {words}"


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """The variants in one workload are compared with each other.

    `label`, `name` and `id` are formatted from its fields and never parsed.
    """

    phase: str
    task: str
    shape: str  # "many-to-one"
    size: str  # the name of a size of the task
    spec: ModelSpec
    batch: int  # B
    steps: int  # T
    device: str
    dtype: str
    threads: int  # LEFT_ALONE: as each framework likes
    optimizer: OptimizerSpec | None = None  # only for train_step and learn
    given_name: str = ""  # from a workload file; it stands for the size and what the file sets
    steps_vary: tuple[int, ...] = ()  # each call comes with another of these T; `steps` is the last
    updates: int = 0  # of learn, at most; 0: those of the target
    stateful: bool = False  # only for train_step: the state is carried from batch to batch
    inputs: InputOptions = InputOptions()
    weights: GivenFile | None = None  # the parameters to start from; None: random
    embedding: GivenFile | None = None  # the table to start from
    data: DataSet | None = None  # None: the task's own
    # The options that its label shows besides the size: keys of `words`.
    overridden: tuple[str, ...] = ()

    @property
    def model_phase(self) -> str:
        """The phase of its model that is timed."""
        return "train_step" if self.phase == LEARN else self.phase

    @property
    def of_model(self) -> Workload:
        """The same in the phase of its model."""
        return msgspec.structs.replace(self, phase=self.model_phase)

    @property
    def numbers(self) -> Size:
        """B, T, D, H and L, under the name of the size."""
        spec = self.spec
        sizes = (self.batch, self.steps, spec.input_size, spec.hidden_size, spec.num_layers)
        return Size(*sizes, name=self.size)

    @property
    def has_lengths(self) -> bool:
        """Whether its batches have lengths."""
        return bool(self.inputs.lengths) and self.inputs.padding == "behind"

    @property
    def words(self) -> dict[str, str]:
        """How each option stands in a label, in the order of labels."""
        spec, numbers = self.spec, self.numbers
        return {
            "size": self.size,
            **{field: f"{LETTERS[field]}{getattr(numbers, field)}" for field in LETTERS},
            "steps_vary": "-".join(["vary", *map(str, self.steps_vary)]),
            "vocab": f"V{spec.vocab_size or 0}",
            "classes": f"C{spec.output_size or 0}",
            "readout": spec.readout,
            "loss": spec.loss,
            "time_reduction": spec.time_reduction,
            "no_bias": "bias" if spec.bias else "no-bias",
            "frozen_embedding": "trained" if spec.train_embedding else "frozen",
            "bidirectional": "bi" if spec.bidirectional else "uni",
            "dropout": f"dropout{spec.dropout}",
            "initial_state": "state" if self.inputs.initial_state else "no-state",
            "stateful": "stateful" if self.stateful else "stateless",
            "weighted": "weighted" if self.inputs.weighted else "unweighted",
            "values": self.inputs.values,
            "lengths": f"lengths-{self.inputs.lengths}",
            "padding": self.inputs.padding,
            "updates": f"updates{self.updates}",
            "weights": f"weights-{self.weights.sha256[:8]}" if self.weights else "",
            "embedding": f"embedding-{self.embedding.sha256[:8]}" if self.embedding else "",
            "data": f"data-{self.data.sha256[:8]}" if self.data else "",
            "threads": f"threads{self.threads or '-default'}",
            "optimizer": self.optimizer.name if self.optimizer else "",
        }

    @property
    def label(self) -> str:
        """The size, or the given name, with what the options set: "base+B32+H320+L2+bi"."""
        shown = [word for option, word in self.words.items() if option in self.overridden]
        return "+".join([self.given_name or self.size, *shown])

    @property
    def name(self) -> str:
        """The part of a test id that names the workload: "sentiment-lstm-base-cpu-float32"."""
        return f"{self.task}-{self.spec.cell}-{self.label}-{self.device}-{self.dtype}"

    @property
    def id(self) -> str:
        """ "bptt[sentiment-lstm-base-cpu-float32]"."""
        return f"{self.phase}[{self.name}]"

    @property
    def step_bytes(self) -> int:
        """The memory of one step's arrays in its arithmetic, in bytes."""
        optimizer = self.optimizer.name if self.optimizer else None
        item = ITEM_BYTES.get(self.dtype, 4)
        return step_bytes(self.spec, self.batch, self.steps, self.model_phase, item, optimizer)

    @property
    def facts(self) -> dict[str, str]:
        """Its model and batch, each fact by its letter or name, for people to read."""
        spec = self.spec
        sizes = {"B": self.batch, "T": self.steps, "D": spec.input_size, "V": spec.vocab_size}
        sizes |= {"H": spec.hidden_size, "L": spec.num_layers, "C": spec.output_size}
        none = {"V": "-", "C": "no head"}
        return {
            **{k: none[k] if size is None else f"{size:,}" for k, size in sizes.items()},
            "direction": "both" if spec.bidirectional else "forward",
            "readout": spec.readout,
            "loss": spec.loss + (" summed over steps" if spec.time_reduction == "sum" else ""),
            "parameters": f"{parameter_count(spec):,}",
            "memory": _memory(self.step_bytes),
        }

    @property
    def besides(self) -> list[str]:
        """What else is unusual about the model and its inputs, in words."""
        spec, inputs = self.spec, self.inputs
        words = {
            f"T varies: {', '.join(map(str, self.steps_vary))}": self.steps_vary,
            "no bias": not spec.bias,
            f"dropout {spec.dropout}": spec.dropout,
            "frozen embedding": spec.vocab_size is not None and not spec.train_embedding,
            "given initial state": inputs.initial_state,
            "the state carried from batch to batch": self.stateful,
            "weighted steps": inputs.weighted,
            "denormal inputs": inputs.values == "denormal",
            f"lengths {inputs.lengths}": self.has_lengths,
            f"lengths {inputs.lengths}, padded in front": inputs.padding == "front",
            f"weights of {self.weights.name if self.weights else ''}": self.weights,
            f"embedding of {self.embedding.name if self.embedding else ''}": self.embedding,
            f"data of {self.data.name if self.data else ''}": self.data,
        }
        return [word for word, holds in words.items() if holds]


def _memory(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:,.1f} KiB"
