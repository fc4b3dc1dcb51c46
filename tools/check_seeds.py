"""Does `rnnbench check` pass correct variants whatever the seed?

    python -m tools.check_seeds [--seeds 10] [NAME ...]

Prints the verdict of each variant and seed. Exit status 1 if one did not pass.
"""

from __future__ import annotations

from typing import Annotated

import typer

from bench.kit.ask import check
from bench.kit.plan import Plan

# One that computes in this process, the frameworks themselves, and a Python loop over torch.
NAMES = ("numpy", "torch", "jax", "keras-tensorflow", "torch-cell")


def main(
    names: Annotated[list[str] | None, typer.Argument(help="variants")] = None,
    seeds: Annotated[int, typer.Option(min=1)] = 10,
) -> None:
    """Check each variant with each seed."""
    passed = asked = 0
    for name in names or NAMES:
        for seed in range(seeds):
            found = check(name, plan=Plan(seed=seed))
            good = found.ok and found.complete
            verdict = "passes" if good else "does not pass"
            reasons = "".join(f"; {failure.message}" for failure in found.failures[:1])
            print(
                f"{name}, seed {seed}: {verdict}, {found.tensors} tensors in "
                f"{found.seconds:.0f} s{reasons}",
                flush=True,
            )
            passed, asked = passed + good, asked + 1
    print(f"{passed} of {asked} checks pass")
    raise typer.Exit(0 if passed == asked else 1)


if __name__ == "__main__":
    typer.run(main)
