"""The tasks: data from a seed, a model and a score for each. numpy only, no clock."""

from __future__ import annotations

from tasks.charseq import CharSeq
from tasks.copy import Copy
from tasks.custom import Custom
from tasks.hello_batch import HelloBatch
from tasks.hihello import HiHello
from tasks.long_sentence import LongSentence
from tasks.multiplication import Multiplication
from tasks.pos_tagging import PosTagging
from tasks.ramp import Ramp
from tasks.sentiment import Sentiment
from tasks.sin_sequence import SinSequence
from tasks.task import Task
from tasks.waveform import Waveform

_NOTES: tuple[Task, ...] = (
    HiHello(),
    SinSequence(),
    Sentiment(),
    CharSeq(),
    HelloBatch(),
    LongSentence(),
    Ramp(),
    Multiplication(),
    PosTagging(),
    Waveform(),
    Copy(),
)
# In the order of lists and runs.
TASKS: dict[str, Task] = {task.name: task for task in (*_NOTES, Custom())}
DEFAULT_TASKS = ("hihello", "sin_sequence", "sentiment")  # of a run that names no task
ALL_TASKS = tuple(task.name for task in _NOTES)  # of a run that asks for all
