"""hihello: read one-hot letters, predict the next letter at every step. Many-to-many.

"h" is followed by "i" or "e", and "l" by "l" or "o", depending on the letters before. Source: the
single sequence of the RNN note, x = "hihell", y = "ihello", where the hidden state itself is the
logits.
"""

from __future__ import annotations

from tasks.charseq import CharSeq
from tasks.task import Size, named

TEXT = "hihello"


class HiHello(CharSeq):
    """Windows of the endlessly repeated "hihello"; its letters are "ehilo".

    A batch of one starts at the first letter, as in the note. Larger batches start at random
    letters; then the first letter does not always determine the second, and the best expected
    accuracy is 1 - 2/(7 T). The target is that of the note, at the source size with its vanilla
    RNN. About three of four initialisations reach it, as with torch's own initialisation and two
    biases. A bidirectional net sees the answer one step ahead, so use it for timing, not learning.
    """

    name: str = "hihello"
    sets: frozenset[str] = frozenset(("vocab_size", "readout", "loss"))

    def __init__(self) -> None:
        super().__init__(TEXT)
        self.sizes = named(
            source=self.sizes["source"],
            base=Size(batch=64, steps=64, input=5, hidden=64),
        )
