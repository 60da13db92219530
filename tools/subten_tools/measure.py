"""How far the results of one model are from those of another, over the same rows."""

import math

import numpy as np

from .model_file import session


BEYOND = 1e30


class Difference:
    """Signal and noise of a tensor, summed up batch by batch."""

    def __init__(self):
        self.signal = self.noise = self.largest = 0.0

    def add(self, wanted, got):
        wanted, got = np.asarray(wanted, dtype=np.float64), np.asarray(got, dtype=np.float64)
        # An infinity is right where FP32 has it too, and no figure can hold how wrong it is elsewhere.
        gap = np.subtract(wanted, got, out=np.zeros_like(wanted), where=wanted != got)
        gap = np.nan_to_num(gap, nan=BEYOND, posinf=BEYOND, neginf=-BEYOND)
        self.signal += float(np.square(wanted[np.isfinite(wanted)]).sum())
        self.noise += float(np.square(gap).sum())
        if gap.size:
            self.largest = max(self.largest, float(np.abs(gap).max()))

    @property
    def share(self):
        """Noise by signal."""
        return self.noise / self.signal if self.signal > 0 else (0.0 if self.noise == 0 else 1.0)

    @property
    def decibels(self):
        """Signal by noise; None where there is no noise, and at most 200, where FP32 itself has more."""
        if self.noise == 0:
            return None
        return round(min(200.0, 10 * math.log10(max(self.signal, 1e-300) / self.noise)), 2)


class Reference:
    """The outputs of the float model on some rows, and how other models compare with them."""

    def __init__(self, model, rows, batch, count):
        self._feeds = lambda: rows.feeds(batch, count)
        run = session(model)
        self.outputs = [each.name for each in run.get_outputs()]
        self._wanted = [run.run(None, feed) for feed in self._feeds()]

    def compare(self, model):
        """{ sqnrDb, maxAbs, agreement? }: the share of rows whose largest output is the same, where outputs are scores."""
        run = session(model)
        gap, same, scored = Difference(), 0, 0
        for feed, wanted in zip(self._feeds(), self._wanted):
            for index, (want, got) in enumerate(zip(wanted, run.run(self.outputs, feed))):
                if np.asarray(want).dtype.kind != "f":
                    continue
                gap.add(want, got)
                if index == 0 and want.ndim == 2 and want.shape[1] > 1:
                    same += int((want.argmax(1) == got.argmax(1)).sum())
                    scored += len(want)
        found = {"sqnrDb": gap.decibels, "maxAbs": gap.largest}
        return dict(found, agreement=same / scored, rows=scored) if scored else found
