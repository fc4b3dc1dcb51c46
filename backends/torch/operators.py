"""Counts the operators that a call in torch executes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

FUSED = "(mkldnn_rnn_layer|_cudnn_rnn|_thnn_fused)"
PRODUCTS = "addmm|mm|bmm|addbmm|baddbmm"


def operator_calls(call: Callable[[], Any]) -> Counter[str]:
    """How often `call` calls each aten operator, by its name: {"mm": 126, ...}.

    Composite operators are split, so a `matmul` counts as `mm` or `bmm`. Only counts are kept,
    because torch's profiler keeps every event and needs more than 20 GB for a thousand steps of
    Keras' Python loop.
    """
    counts: Counter[str] = Counter()
    for (name, _), count in operator_dtypes(call).items():
        counts[name] += count
    return counts


def operator_dtypes(call: Callable[[], Any]) -> Counter[tuple[str, str]]:
    """The same by name and by dtype of the first tensor: {("mm", "bfloat16"): 126, ...}.

    What autocast casts is counted as cast. An operator without a tensor has the dtype "".
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    counts: Counter[tuple[str, str]] = Counter()

    class Counting(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
        def __torch_dispatch__(
            self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            with self:
                parts = operator.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
            first = next((each for each in args if isinstance(each, torch.Tensor)), None)
            dtype = "" if first is None else str(first.dtype).removeprefix("torch.")
            counts[operator.overloadpacket.__name__, dtype] += 1
            return operator(*args, **(kwargs or {}))

    with Counting():
        call()
    return counts


def kernels(counts: Counter[tuple[str, str]]) -> str:
    """The fused recurrent kernels among the operators, or that there are none, and the products."""
    if any(re.match(FUSED, name) for name, _ in counts):
        return in_words(counts, f"{FUSED}.*")
    return f"no fused kernel, products {in_words(counts, PRODUCTS)}"


def in_words(counts: Counter[tuple[str, str]], names: str) -> str:
    """The operators whose names match, such as "500 addmm in bfloat16, 1 mm in float32"."""
    found = {key: n for key, n in sorted(counts.items()) if re.fullmatch(names, key[0])}
    return ", ".join(
        f"{n} {name}{f' in {dtype}' if dtype else ''}" for (name, dtype), n in found.items()
    )
