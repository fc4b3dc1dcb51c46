"""One step of each cell, forward and back. It knows no time axis; `xp` is cupy, or what is like it.

a (B,G*H) = x W_xh + b and u (B,G*H) = h W_hh + b_hh are given, with the gates in rnnbench's order:
LSTM i, f, g, o; GRU r, z, n. `forward` gives h', c' (B,H) and what `back` needs; `back` gives, from
the gradients of h' and c', those of a, u, and of h and c beside what goes through u.
"""


def sigmoid(xp, a):
    return 0.5 * xp.tanh(0.5 * a) + 0.5  # this form does not overflow


class Tanh:
    """h' = tanh(a + u)."""

    @staticmethod
    def forward(xp, a, u, h, c):
        h = xp.tanh(a + u)
        return h, None, h

    @staticmethod
    def back(xp, h, dh, dc):
        da = dh * (1 - h * h)
        return da, da, None, None


class Relu:
    """h' = max(a + u, 0)."""

    @staticmethod
    def forward(xp, a, u, h, c):
        h = xp.maximum(a + u, 0)
        return h, None, h

    @staticmethod
    def back(xp, h, dh, dc):
        da = dh * (h > 0)
        return da, da, None, None


class Lstm:
    """c' = f*c + i*g; h' = o*tanh(c')."""

    @staticmethod
    def forward(xp, a, u, h, c):
        i, f, g, o = xp.split(a + u, 4, axis=-1)
        i, f, g, o = sigmoid(xp, i), sigmoid(xp, f), xp.tanh(g), sigmoid(xp, o)
        new = f * c + i * g
        tanh_c = xp.tanh(new)
        return o * tanh_c, new, (i, f, g, o, c, tanh_c)

    @staticmethod
    def back(xp, kept, dh, dc):
        i, f, g, o, c, tanh_c = kept
        dc = dc + dh * o * (1 - tanh_c * tanh_c)
        gates = (
            dc * g * i * (1 - i),
            dc * c * f * (1 - f),
            dc * i * (1 - g * g),
            dh * tanh_c * o * (1 - o),
        )
        da = xp.concatenate(gates, axis=-1)
        return da, da, None, dc * f


class Gru:
    """r, z = sigmoid; n = tanh(a_n + r*u_n); h' = (1-z)*n + z*h."""

    @staticmethod
    def forward(xp, a, u, h, c):
        (a_r, a_z, a_n), (u_r, u_z, u_n) = xp.split(a, 3, axis=-1), xp.split(u, 3, axis=-1)
        r, z = sigmoid(xp, a_r + u_r), sigmoid(xp, a_z + u_z)
        n = xp.tanh(a_n + r * u_n)
        return (1 - z) * n + z * h, None, (r, z, n, u_n, h)

    @staticmethod
    def back(xp, kept, dh, dc):
        r, z, n, u_n, h = kept
        da_n = dh * (1 - z) * (1 - n * n)
        da_r = da_n * u_n * r * (1 - r)
        da_z = dh * (h - n) * z * (1 - z)
        da = xp.concatenate((da_r, da_z, da_n), axis=-1)
        du = xp.concatenate((da_r, da_z, da_n * r), axis=-1)
        return da, du, dh * z, None


CELLS = {"rnn_tanh": Tanh, "rnn_relu": Relu, "lstm": Lstm, "gru": Gru}
