"""The phases that a run measures: those of a Model, and what the harness makes of its members."""

from __future__ import annotations

from backends import interface
from bench.records.workload import LEARN as LEARN

STREAM = "stream"  # one step at a time, with the state carried: a Model's `advance`
PHASES = (*interface.PHASES, STREAM, LEARN)
