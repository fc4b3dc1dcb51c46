"""The whole net over time: embedding, layers in one or both directions, readout, head, loss, BPTT.

Axes: B sequences, T steps, I inputs of a layer, H hidden units, F = H x directions, C outputs.
Inside, time comes first. `xp` is cupy, or what is like it.
"""

from rnnbench_cupy.cells import CELLS


class Net:
    """`p` are the parameters by rnnbench's names, on the device."""

    def __init__(self, xp, spec, p):
        self.xp, self.spec, self.p, self.cell = xp, spec, p, CELLS[spec.cell]
        self.ways = ("fwd", "bwd") if spec.bidirectional else ("fwd",)

    def forward(self, x, state, *, training=False):
        """Outputs (B,T,C) or (B,C), last states by name, and what `backward` needs."""
        xp, spec = self.xp, self.spec
        xs = xp.swapaxes(x, 0, 1)  # (T,B,D) or ids (T,B)
        if spec.vocab_size is not None:
            xs = self.p["E"][xs]
        last, scans, masks = {}, [], []
        for layer in range(spec.num_layers):
            mask = self._mask(xs) if training and layer else None
            xs = xs if mask is None else xs * mask
            masks.append(mask)
            found = [self._scan(f"l{layer}.{way}", xs, state, last) for way in self.ways]
            scans.append(found)
            xs = xp.concatenate([scan["hs"] for scan in found], axis=-1)  # (T,B,F)
        if spec.readout == "every_step":
            read = xp.swapaxes(xs, 0, 1)
        else:  # bwd's last state is that of t = 0
            top = spec.num_layers - 1
            read = xp.concatenate([last[f"l{top}.{way}.h"] for way in self.ways], axis=-1)
        outputs = read
        if spec.output_size is not None:
            outputs = read @ self.p["W_hy"] + self.p["b_y"]
        return outputs, last, (x, scans, masks, read)

    def backward(self, kept, d_outputs):
        """The gradient of every trainable parameter, from that of the outputs."""
        xp, spec, grads = self.xp, self.spec, {}
        x, scans, masks, read = kept
        d_read = d_outputs
        if spec.output_size is not None:
            grads["W_hy"] = _rows(read).T @ _rows(d_outputs)
            grads["b_y"] = self._added(d_outputs)
            d_read = d_outputs @ self.p["W_hy"].T
        steps, batch = x.shape[1], x.shape[0]
        if spec.readout == "every_step":
            d_xs = xp.swapaxes(d_read, 0, 1)
        else:
            d_xs = xp.zeros((steps, batch, d_read.shape[-1]), d_read.dtype)
            for k, way in enumerate(self.ways):
                half = slice(k * spec.hidden_size, (k + 1) * spec.hidden_size)
                d_xs[-1 if way == "fwd" else 0, :, half] = d_read[:, half]
        for layer in reversed(range(spec.num_layers)):
            halves = xp.split(d_xs, len(self.ways), axis=-1)
            d_xs = sum(
                self._scan_back(f"l{layer}.{way}", scan, d_hs, grads)
                for way, scan, d_hs in zip(self.ways, scans[layer], halves, strict=True)
            )
            d_xs = d_xs if masks[layer] is None else d_xs * masks[layer]
        if spec.vocab_size is not None and spec.train_embedding:
            grads["E"] = xp.zeros_like(self.p["E"])
            xp.add.at(grads["E"], xp.swapaxes(x, 0, 1), d_xs)
        return grads

    def _scan(self, name, xs, state, last):
        """One direction over xs (T,B,I), and its last states into `last`."""
        xp, spec = self.xp, self.spec
        W_xh, W_hh = self.p[f"{name}.W_xh"], self.p[f"{name}.W_hh"]
        b, b_hh = (self.p.get(f"{name}.{bias}", 0) for bias in ("b", "b_hh"))
        zeros = xp.zeros((xs.shape[1], spec.hidden_size), W_hh.dtype)
        h, c = (state.get(f"{name}.{kind}0", zeros) for kind in ("h", "c"))
        pre = xs @ W_xh + b
        order = range(len(xs)) if name.endswith("fwd") else reversed(range(len(xs)))
        order, hs, h_prevs, kept = list(order), [None] * len(xs), [None] * len(xs), [None] * len(xs)
        for t in order:
            h_prevs[t] = h
            h, c, kept[t] = self.cell.forward(xp, pre[t], h @ W_hh + b_hh, h, c)
            hs[t] = h
        last[f"{name}.h"] = h
        if c is not None:
            last[f"{name}.c"] = c
        return {
            "xs": xs,
            "hs": xp.stack(hs),
            "h_prevs": xp.stack(h_prevs),
            "kept": kept,
            "order": order,
        }

    def _scan_back(self, name, scan, d_hs, grads):
        """Its parameters' gradients into `grads`; gives that of its input (T,B,I)."""
        xp = self.xp
        W_xh, W_hh = self.p[f"{name}.W_xh"], self.p[f"{name}.W_hh"]
        das, dus = [None] * len(d_hs), [None] * len(d_hs)
        dh = dc = xp.zeros_like(d_hs[0])  # from the step after
        for t in reversed(scan["order"]):
            das[t], dus[t], direct, dc = self.cell.back(xp, scan["kept"][t], dh + d_hs[t], dc)
            dh = dus[t] @ W_hh.T
            if direct is not None:
                dh = dh + direct
        da, du = xp.stack(das), xp.stack(dus)
        grads[f"{name}.W_xh"] = _rows(scan["xs"]).T @ _rows(da)
        grads[f"{name}.W_hh"] = _rows(scan["h_prevs"]).T @ _rows(du)
        if self.spec.bias:
            grads[f"{name}.b"] = self._added(da)
            if f"{name}.b_hh" in self.p:
                grads[f"{name}.b_hh"] = self._added(du)
        return da @ W_xh.T

    def _mask(self, xs):
        """Dropout's, on what goes into a layer: 0 or 1/(1-p)."""
        share = self.spec.dropout
        if not share:
            return None
        kept = self.xp.random.random_sample(xs.shape) >= share
        return kept.astype(xs.dtype) / (1 - share)

    def _added(self, values):
        """Over all axes but the last, as a product: more exact than a sum of thousands of rows."""
        rows = _rows(values)
        return self.xp.ones(len(rows), rows.dtype) @ rows

    def loss(self, outputs, y, shares):
        """The loss, and its gradient by the outputs; `shares` say how much each output counts."""
        xp = self.xp
        if self.spec.loss == "mse":
            off = outputs - y
            return (shares * (off * off).mean(axis=-1)).sum(), (
                shares[..., None] * off * (2 / off.shape[-1])
            )
        shifted = outputs - outputs.max(axis=-1, keepdims=True)
        exp = xp.exp(shifted)
        total = exp.sum(axis=-1, keepdims=True)
        right = y[..., None] == xp.arange(outputs.shape[-1])
        each = xp.log(total)[..., 0] - (shifted * right).sum(axis=-1)
        return (shares * each).sum(), shares[..., None] * (exp / total - right)


def _rows(array):
    return array.reshape(-1, array.shape[-1])
