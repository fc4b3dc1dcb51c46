"""cuDNN's recurrent kernels: how far is their tanh from the tanh of the same float32 number?

One step of a vanilla RNN, and the g gate of an LSTM, with an identity for weights: what they return
is tanh of their input. Beside them torch.tanh. TF32 is off. It is reproduced where a relative error
exceeds 16 ulp of 1 (2^-23).

Needs: torch
"""

import sys

import torch

device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
ULP, MOST, ROWS = 2.0**-23, 16, 4096

print(f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, on {device}")
if device != "cpu" and not torch.cuda.is_available():
    print("skipped: torch finds no GPU")
    sys.exit()
torch.backends.cudnn.allow_tf32 = False
torch.manual_seed(0)


def rnn(x):
    units = x.shape[1]
    layer = torch.nn.RNN(units, units, bias=False, device=device)
    layer.weight_ih_l0.copy_(torch.eye(units))
    layer.weight_hh_l0.zero_()
    return layer(x[None])[0][0]


def lstm(x):
    """The cell state, with an open input gate and nothing to forget."""
    units = x.shape[1]
    layer = torch.nn.LSTM(units, units, device=device)
    for parameter in layer.parameters():
        parameter.zero_()
    layer.bias_ih_l0[:units] = 40.0
    layer.weight_ih_l0[2 * units : 3 * units] = torch.eye(units)
    return layer(x[None])[1][1][0]


worst = {}
with torch.no_grad():
    for units in (3, 64, 320):
        size = 10.0 ** torch.empty(ROWS, units).uniform_(-3, 1)
        x = (size * torch.randint(0, 2, size.shape).mul(2).sub(1)).to(device)
        exact = torch.tanh(x.double())
        for function in (rnn, lstm, torch.tanh):
            error = float(((function(x).double() - exact) / exact).abs().max()) / ULP
            name = f"{function.__name__}, {units} units"
            print(f"{name}: tanh is off by up to {error:.1f} ulp")
            worst[name] = error
beyond = [f"{name} ({error:.0f} ulp)" for name, error in worst.items() if error > MOST]
if beyond:
    print(f"reproduced: {'; '.join(beyond)}")
else:
    print(f"not reproduced: no tanh is off by more than {MOST} ulp")
