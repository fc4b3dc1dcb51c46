"""The four cells in numpy, forward and back through time; `scan` has their common code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backends.numpy.scan import Scan


class RnnTanh(Scan):
    """h' = tanh(x W_xh + h W_hh + b)."""

    def forward(self) -> None:
        self.input_product()
        carried = self.carried
        ops, W_hh, rec = self.ops, self.weights.W_hh, self.rec
        for (pre, _, h_prev, h), pad in zip(self.steps, self.pads, strict=True):
            ops.dot(h_prev, W_hh, out=rec)
            ops.add(rec, pre, out=rec)
            ops.tanh(rec, out=h)
            if carried is not None:
                carried(h)
            if pad is not None:
                np.copyto(h, h_prev, where=pad)

    def backward(self) -> None:
        ops, W_hh_T, dh, slope = self.ops, self.weights.W_hh.T, self.dh, self.tmp
        for (da, _, _, h), dy, pad in self.back_steps:
            if dy is not None:
                ops.add(dh, dy, out=dh)
            if pad is not None:
                np.copyto(self.kept, dh)
            ops.multiply(h, h, out=slope)
            ops.subtract(self.one, slope, out=slope)
            ops.multiply(dh, slope, out=da)
            if pad is not None:
                np.copyto(da, 0, where=pad)
            ops.dot(da, W_hh_T, out=dh)
            if pad is not None:
                np.copyto(dh, self.kept, where=pad)


class RnnRelu(Scan):
    """h' = max(x W_xh + h W_hh + b, 0)."""

    def forward(self) -> None:
        self.input_product()
        carried = self.carried
        ops, W_hh, rec = self.ops, self.weights.W_hh, self.rec
        for (pre, _, h_prev, h), pad in zip(self.steps, self.pads, strict=True):
            ops.dot(h_prev, W_hh, out=rec)
            ops.add(rec, pre, out=rec)
            ops.maximum(rec, 0, out=h)
            if carried is not None:
                carried(h)
            if pad is not None:
                np.copyto(h, h_prev, where=pad)

    def backward(self) -> None:
        ops, W_hh_T, dh, slope = self.ops, self.weights.W_hh.T, self.dh, self.tmp
        for (da, _, _, h), dy, pad in self.back_steps:
            if dy is not None:
                ops.add(dh, dy, out=dh)
            if pad is not None:
                np.copyto(self.kept, dh)
            ops.greater(h, 0, out=slope)
            ops.multiply(dh, slope, out=da)
            if pad is not None:
                np.copyto(da, 0, where=pad)
            ops.dot(da, W_hh_T, out=dh)
            if pad is not None:
                np.copyto(dh, self.kept, where=pad)


class Lstm(Scan):
    """i, f, o = sigmoid, g = tanh of x W_xh + h W_hh + b; c' = f*c + i*g; h' = o*tanh(c')."""

    def _views(
        self,
        pre: Sequence[np.ndarray],
        gates: Sequence[np.ndarray],
        h_prev: Sequence[np.ndarray],
        h: Sequence[np.ndarray],
    ) -> list[tuple[np.ndarray, ...]]:
        steps, (batch, hidden), dtype = len(h), h[0].shape, h[0].dtype
        if self.gradients:
            c = list(np.empty((steps + 1, batch, hidden), dtype))
            tanh_c = list(np.empty((steps, batch, hidden), dtype))
            self.kept_c = np.empty((batch, hidden), dtype)
        else:
            # With padding a step needs the c before it, to restore it.
            both = [
                np.empty((batch, hidden), dtype) for _ in range(1 if self.pads[0] is None else 2)
            ]
            c = [both[t % len(both)] for t in range(steps + 1)]
            tanh_c = [self.tmp] * steps
        self.c0, self.last_c = c[0], c[-1]
        self.dc = np.empty((batch, hidden), dtype)
        i, f, o, g = ([row[:, k * hidden : (k + 1) * hidden] for row in gates] for k in range(4))
        ifo = [row[:, : 3 * hidden] for row in gates]
        columns = (pre, gates, ifo, i, f, o, g, c[:-1], c[1:], tanh_c, h_prev, h)
        return list(zip(*columns, strict=True))

    def start(self, h0: np.ndarray | None, c0: np.ndarray | None) -> None:
        super().start(h0, c0)
        self.c0[...] = 0 if c0 is None else c0

    def last(self) -> dict[str, np.ndarray]:
        return {"h": self.last_h, "c": self.last_c}

    def forward(self) -> None:
        self.input_product()
        carried = self.carried
        ops, W_hh, rec, tmp = self.ops, self.weights.W_hh, self.rec, self.tmp
        with np.errstate(over="ignore"):  # sigmoid: exp(-x) = inf gives the right 0
            for views, pad in zip(self.steps, self.pads, strict=True):
                pre, gates, ifo, i, f, o, g, c_prev, c, tanh_c, h_prev, h = views
                ops.dot(h_prev, W_hh, out=rec)
                ops.add(rec, pre, out=gates)
                _sigmoid(ifo, self.one, ops)
                ops.tanh(g, out=g)
                ops.multiply(f, c_prev, out=c)
                ops.multiply(i, g, out=tmp)
                ops.add(c, tmp, out=c)
                ops.tanh(c, out=tanh_c)
                ops.multiply(o, tanh_c, out=h)
                if carried is not None:
                    carried(h)
                    carried(c)
                if pad is not None:
                    np.copyto(h, h_prev, where=pad)
                    np.copyto(c, c_prev, where=pad)

    def backward(self) -> None:
        W_hh_T, one, dh, dc, tmp = self.weights.W_hh.T, self.one, self.dh, self.dc, self.tmp
        hidden, ops = dh.shape[1], self.ops
        di, df, do = (self.rec[:, k * hidden : (k + 1) * hidden] for k in range(3))
        d_ifo = self.rec[:, : 3 * hidden]
        dc.fill(0)
        for (_, da, ifo, i, f, o, g, c_prev, _, tanh_c, _, _), dy, pad in self.back_steps:
            if dy is not None:
                ops.add(dh, dy, out=dh)
            if pad is not None:
                np.copyto(self.kept, dh)
                np.copyto(self.kept_c, dc)
            ops.multiply(dh, tanh_c, out=do)
            ops.multiply(tanh_c, tanh_c, out=tmp)
            ops.subtract(one, tmp, out=tmp)
            ops.multiply(tmp, o, out=tmp)
            ops.multiply(tmp, dh, out=tmp)
            ops.add(dc, tmp, out=dc)  # dc' + dh o (1 - tanh(c)^2)
            ops.multiply(dc, g, out=di)
            ops.multiply(dc, c_prev, out=df)
            ops.multiply(g, g, out=g)
            ops.subtract(one, g, out=g)
            ops.multiply(g, i, out=g)
            ops.multiply(g, dc, out=g)  # da_g = dc i (1 - g^2)
            ops.multiply(dc, f, out=dc)
            ops.multiply(d_ifo, ifo, out=d_ifo)
            ops.subtract(one, ifo, out=ifo)
            ops.multiply(d_ifo, ifo, out=ifo)  # da_s = ds s (1 - s)
            if pad is not None:
                np.copyto(da, 0, where=pad)
                np.copyto(dc, self.kept_c, where=pad)
            ops.dot(da, W_hh_T, out=dh)
            if pad is not None:
                np.copyto(dh, self.kept, where=pad)


class Gru(Scan):
    """r, z = sigmoid(x W + b + h U + b_hh); n = tanh(x W_n + b_n + r*u); h' = (1-z)*n + z*h."""

    extra_gates = 1  # u beside n, r, z

    def _views(
        self,
        pre: Sequence[np.ndarray],
        gates: Sequence[np.ndarray],
        h_prev: Sequence[np.ndarray],
        h: Sequence[np.ndarray],
    ) -> list[tuple[np.ndarray, ...]]:
        hidden = self.tmp.shape[1]
        self.rz = np.empty((len(self.tmp), 2 * hidden), self.tmp.dtype)  # scratch of backward
        self.z_dh = np.empty_like(self.tmp)
        b_hh = self.weights.b_hh
        self.b_hh_n = np.zeros_like(self.tmp[0]) if b_hh is None else b_hh[-hidden:]
        pre_n = [row[:, :hidden] for row in pre]
        pre_rz = [row[:, hidden:] for row in pre]
        n, r, z, u = ([row[:, k * hidden : (k + 1) * hidden] for row in gates] for k in range(4))
        rz = [row[:, hidden : 3 * hidden] for row in gates]
        recurrent = [row[:, hidden:] for row in gates]
        return list(zip(pre_n, pre_rz, recurrent, rz, n, r, z, u, h_prev, h, strict=True))

    def bias(self) -> np.ndarray | None:
        """b, plus b_hh for r and z (3H); b_hh of n belongs into u."""
        b, b_hh, hidden = self.weights.b, self.weights.b_hh, self.tmp.shape[1]
        if b is None or b_hh is None:
            return None
        bias = b.copy()
        bias[hidden:] += b_hh[:-hidden]
        return bias

    def forward(self) -> None:
        self.input_product()
        W_hh, rec, tmp, b_hh_n = self.weights.W_hh, self.rec, self.tmp, self.b_hh_n
        split, ops, carried = 2 * tmp.shape[1], self.ops, self.carried
        rec_rz, rec_n = rec[:, :split], rec[:, split:]
        with np.errstate(over="ignore"):  # sigmoid: exp(-x) = inf gives the right 0
            for views, pad in zip(self.steps, self.pads, strict=True):
                pre_n, pre_rz, _, rz, n, r, z, u, h_prev, h = views
                ops.dot(h_prev, W_hh, out=rec)
                ops.add(rec_rz, pre_rz, out=rz)
                _sigmoid(rz, self.one, ops)
                ops.add(rec_n, b_hh_n, out=u)
                ops.multiply(r, u, out=tmp)
                ops.add(tmp, pre_n, out=n)
                ops.tanh(n, out=n)
                ops.subtract(h_prev, n, out=tmp)
                ops.multiply(tmp, z, out=tmp)
                ops.add(tmp, n, out=h)  # (1 - z) n + z h
                if carried is not None:
                    carried(h)
                if pad is not None:
                    np.copyto(h, h_prev, where=pad)

    def backward(self) -> None:
        W_hh_T, one, dh, dn, z_dh = self.weights.W_hh.T, self.one, self.dh, self.tmp, self.z_dh
        split, ops = dh.shape[1], self.ops
        d_rz, dr, dz = self.rz, self.rz[:, :split], self.rz[:, split:]
        for (_, _, da_recurrent, rz, n, r, z, u, h_prev, _), dy, pad in self.back_steps:
            if dy is not None:
                ops.add(dh, dy, out=dh)
            if pad is not None:
                np.copyto(self.kept, dh)
            ops.multiply(z, dh, out=z_dh)
            ops.subtract(dh, z_dh, out=dn)
            ops.subtract(h_prev, n, out=dz)
            ops.multiply(dz, dh, out=dz)
            ops.multiply(n, n, out=n)
            ops.subtract(one, n, out=n)
            ops.multiply(n, dn, out=n)  # da_n = dn (1 - n^2)
            ops.multiply(n, u, out=dr)
            ops.multiply(n, r, out=u)  # du = da_n r
            ops.multiply(d_rz, rz, out=d_rz)
            ops.subtract(one, rz, out=rz)
            ops.multiply(d_rz, rz, out=rz)  # da_s = ds s (1 - s)
            if pad is not None:
                np.copyto(n, 0, where=pad)
                np.copyto(da_recurrent, 0, where=pad)
            ops.dot(da_recurrent, W_hh_T, out=dh)
            ops.add(dh, z_dh, out=dh)
            if pad is not None:
                np.copyto(dh, self.kept, where=pad)


def _sigmoid(a: np.ndarray, one: np.ndarray, ops: Any) -> None:
    """1 / (1 + exp(-a)) in place; the caller ignores the overflow of exp."""
    np.negative(a, out=a)
    ops.exp(a, out=a)
    np.add(a, one, out=a)
    ops.reciprocal(a, out=a)


SCANS: dict[str, type[Scan]] = {
    "rnn_tanh": RnnTanh,
    "rnn_relu": RnnRelu,
    "lstm": Lstm,
    "gru": Gru,
}
