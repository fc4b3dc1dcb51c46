"""Operators are counted as torch's profiler counts them, without keeping its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backends.torch.operators import operator_calls

torch = pytest.importorskip("torch")

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


def layers() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))


def forward(net: Any, x: Any) -> Any:
    with torch.inference_mode():
        return torch.matmul(net(x), torch.ones(2, 4))


def backward(net: Any, x: Any) -> None:
    torch.matmul(net(x), torch.ones(2, 4)).sum().backward()


def lstm(_: Any, x: Any) -> Any:
    with torch.inference_mode():
        return torch.nn.LSTM(3, 4)(x)


@pytest.mark.parametrize("shape", [(7, 3), (2, 7, 3)])
@pytest.mark.parametrize("call", [forward, backward])
def test_products_are_counted_as_the_profiler_does(
    call: Callable[[Any, Any], Any], shape: tuple[int, ...]
) -> None:
    net, x = layers(), torch.ones(*shape)
    counts = operator_calls(lambda: call(net, x))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        call(net, x)
    seen = {event.key.removeprefix("aten::"): event.count for event in profiled.key_averages()}
    expected = {name: seen[name] for name in PRODUCTS if name in seen}
    assert sum(expected.values()) >= 3
    assert {name: counts[name] for name in PRODUCTS if counts[name]} == expected


def test_a_fused_layer_is_named_and_the_answer_is_the_same() -> None:
    x = torch.ones(6, 2, 3)
    torch.manual_seed(1)
    expected = lstm(None, x)[0]
    found = []
    torch.manual_seed(1)
    counts = operator_calls(lambda: found.append(lstm(None, x)[0]))
    assert torch.equal(found[0], expected)
    assert any("rnn" in name or "lstm" in name for name in counts) or counts["addmm"]
    assert "matmul" not in counts
    assert "linear" not in counts
