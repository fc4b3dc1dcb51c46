"""Variants that crash again and again are left out of the rest of a run."""

from __future__ import annotations

from bench.records.schema import Measurement

MOST = 3  # crashes in a row; a variant that hangs costs as much, so a timeout counts too
_COUNTED = ("crashed", "timed out")


class Crashes:
    """The crashes in a row of each variant, each with its reason."""

    def __init__(self) -> None:
        self._reasons: dict[str, list[str]] = {}

    def count(self, measurement: Measurement) -> None:
        """Count one that has ended. A workload that was refused or skipped changes nothing."""
        if measurement.status in _COUNTED:
            found = f"{measurement.workload.id} {measurement.status}: {measurement.reason}"
            self._reasons.setdefault(measurement.variant, []).append(found)
        elif measurement.status not in ("refused", "skipped"):
            self._reasons.pop(measurement.variant, None)

    def left_out(self, variant: str) -> str | None:
        """Why a variant is left out from now on, or None."""
        reasons = self._reasons.get(variant, [])
        if len(reasons) < MOST:
            return None
        return f"left out after {MOST} crashes in a row: {'; '.join(reasons[-MOST:])}"
