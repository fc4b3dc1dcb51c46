"""The records of a run on their way to the disk: a new run's, or those of one that is resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import ROOT, __version__
from bench.analysis import text
from bench.measurement import resume
from bench.measurement.ending import EndedRunError
from bench.measurement.plan import Plan
from bench.measurement.resume import Resumed
from bench.records import machine, provenance, schema, store
from bench.records.run_file import RunExistsError, RunFolder


class RunRecords:
    """Made before the first worker starts: a folder that cannot be used is an early error."""

    def __init__(self, plan: Plan) -> None:
        """Raises pytest.UsageError if the folder cannot be written, or its run not be resumed."""
        self._plan, self._described = plan, False
        self.resumed, self._resuming = Resumed(), False
        folder, before = plan.folder, plan.options.resume
        try:
            self._folder = RunFolder(folder, resumed=before is not None)
        except RunExistsError as error:
            raise pytest.UsageError(
                f"{error}; choose another --run-name, or go on with --resume={folder}"
            ) from error
        except OSError as error:
            raise pytest.UsageError(
                f"the report folder {folder} cannot be written: {error.strerror}; "
                "choose another with --reports"
            ) from error
        if before is not None:
            try:
                self.resumed = resume.read(
                    plan, before, machine.describe(), __version__, provenance.commit(ROOT)
                )
            except (OSError, ValueError) as error:
                reason = text.plain(error)  # it may quote the records of another
                raise pytest.UsageError(f"{before} cannot be resumed: {reason}") from error
            self._resuming = self._folder.file.exists()

    @property
    def folder(self) -> Path:
        return self._folder.path

    @property
    def exist(self) -> bool:
        """Whether there is anything to report."""
        return self._described or bool(self.resumed.outcomes)

    def append(
        self,
        measured: list[schema.Measurement | schema.WorkloadRecord],
        describe: Callable[[], schema.Run],
    ) -> None:
        """Append the records of a workload; before the first of them, what `describe` returns.

        Raises EndedRunError if the folder cannot be written: all is then kept elsewhere.
        """
        lines: list[schema.Record] = [*measured] if self._described else [describe(), *measured]
        try:
            if self._resuming:  # what is measured again must not stand there twice
                store.keep(self._folder.file, self.resumed.workloads)
                self._resuming = False
            self._folder.append(lines)
        except OSError as error:
            self._rescue(lines, error)
        self._described = True

    def _rescue(self, lines: list[schema.Record], error: OSError) -> None:
        why = f"{self._folder.file} cannot be written: {error.strerror}"
        try:
            self._plan.folder = self._folder.rescue(lines)
        except OSError as again:
            raise EndedRunError(
                f"{why}. What was measured before is kept there. The last workload is lost: "
                f"the folder for temporary files cannot be written either ({again.strerror})"
            ) from error
        self._described = True
        raise EndedRunError(
            f"{why}. All that was measured is in {self.folder}; --resume={self.folder} goes on "
            "from there"
        ) from error

    def close(self) -> None:
        self._folder.close()
