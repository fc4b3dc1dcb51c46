"""A deep bidirectional torch LSTM on a GPU: is it wrong above some batch size?

pytorch/pytorch#177834, reported for AMD GPUs: above a batch of 100 its outputs differ from those
of the CPU by orders of magnitude. Here four layers of 128 units over 600 steps; the first and the
last rows of each batch are compared with the CPU in float64.

Needs: torch
"""

import sys

import torch

device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
LAYERS, STEPS, UNITS, BATCHES = 4, 600, 128, (50, 100, 150, 200)
if device == "cpu":  # small: this rehearses the program
    STEPS, UNITS = 12, 8
ROWS = [0, 1, -2, -1]

print(f"torch {torch.__version__}, on {device}")
if device != "cpu" and not torch.cuda.is_available():
    print("skipped: torch finds no GPU")
    sys.exit()
torch.backends.cudnn.allow_tf32 = False
torch.manual_seed(0)
exact = torch.nn.LSTM(UNITS, UNITS, LAYERS, batch_first=True, bidirectional=True).double()
lstm = torch.nn.LSTM(UNITS, UNITS, LAYERS, batch_first=True, bidirectional=True)
lstm.load_state_dict(exact.state_dict())
lstm = lstm.to(device)

wrong = []
torch.set_num_threads(1)  # of the CPU's small products
with torch.no_grad():
    rows = torch.randn(len(ROWS), STEPS, UNITS)
    expected, _ = exact(rows.double())
    for batch in BATCHES:
        inputs = torch.randn(batch, STEPS, UNITS)
        inputs[ROWS] = rows
        found, _ = lstm(inputs.to(device))
        difference = found[ROWS].cpu().double() - expected
        error = float(difference.norm() / expected.norm())
        print(f"batch {batch}: off by {error:.1e}")
        wrong += [str(batch)] if not error < 1e-3 else []
if wrong:
    print(f"reproduced: wrong at a batch of {', '.join(wrong)}")
else:
    print(f"not reproduced: right at a batch of {', '.join(map(str, BATCHES))}")
