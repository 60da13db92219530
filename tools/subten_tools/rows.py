"""Calibration rows: one .npy file an input, with a leading dimension of rows, read as they are needed."""

import numpy as np

from .protocol import ToolError

DATATYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(bool)": np.bool_,
    "tensor(int8)": np.int8, "tensor(int16)": np.int16, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8, "tensor(uint16)": np.uint16, "tensor(uint32)": np.uint32, "tensor(uint64)": np.uint64,
}  # fmt: skip


class Rows:
    """The rows of a model. `feeds(batch)` gives what a session takes, batch after batch."""

    def __init__(self, files, session):
        self._arrays = {name: np.load(path, mmap_mode="r") for name, path in files.items()}
        self._inputs = session.get_inputs()
        for each in self._inputs:
            _check(each, self._arrays)
        lengths = {len(array) for array in self._arrays.values()}
        if len(lengths) > 1:
            listed = ", ".join(f"{name} {len(array)}" for name, array in self._arrays.items())
            raise ToolError("INVALID_INPUT", f"the inputs have different numbers of rows: {listed}")
        self.count = lengths.pop()
        if self.count == 0:
            raise ToolError("INVALID_INPUT", "the calibration set is empty", "Give rows that are like those in service.")
        # A model without a batch dimension takes a row at a time, one with a fixed batch exactly so many.
        self._whole = any(self._arrays[each.name].ndim == len(each.shape) + 1 for each in self._inputs)
        fixed = {each.shape[0] for each in self._inputs if each.shape and isinstance(each.shape[0], int)}
        self.fixed = 1 if self._whole else max(fixed, default=0)
        if self.fixed > self.count:
            message = f"the model takes {self.fixed} rows at a time, and there are only {self.count}"
            raise ToolError("INVALID_INPUT", message)

    def batch(self, most):
        """Rows of a batch: what the model wants, else at most so many."""
        return self.fixed or max(1, min(most, self.count))

    def feeds(self, batch, count=None):
        """Whole batches of the first `count` rows; of a model with a fixed batch the rest is left out."""
        end = self.count if count is None else min(count, self.count)
        for start in range(0, end, batch):
            stop = min(start + batch, end)
            if self.fixed and stop - start < self.fixed:
                return
            yield {each.name: self._part(each, start, stop) for each in self._inputs}

    def _part(self, each, start, stop):
        array = self._arrays[each.name]
        part = array[start] if array.ndim == len(each.shape) + 1 else array[start:stop]
        part = np.ascontiguousarray(part)
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            row = start + int(np.flatnonzero(~np.isfinite(part).reshape(len(part) or 1, -1).all(axis=1))[0])
            what = "NaN" if np.isnan(part).any() else "infinity"
            raise ToolError(
                "INVALID_INPUT",
                f'calibration input "{each.name}" holds {what} (row {row if not self._whole else start})',
                "Take the row out: one such value makes every range useless.",
                input=each.name,
            )
        return part


def _check(each, arrays):
    array = arrays.get(each.name)
    if array is None:
        raise ToolError("INVALID_INPUT", f'calibration has no input "{each.name}"', input=each.name)
    wanted = DATATYPES.get(each.type)
    if wanted is None:
        raise ToolError("NOT_SUPPORTED", f'input "{each.name}" is {each.type}: only tensors of numbers can calibrate')
    if array.dtype != wanted:
        message = f'calibration input "{each.name}" is {array.dtype}, the model takes {np.dtype(wanted)}'
        raise ToolError("INVALID_INPUT", message, input=each.name)
    dims, given = list(each.shape), list(array.shape)
    rest = given[1:] if array.ndim == len(dims) + 1 else given
    start = 0 if array.ndim == len(dims) + 1 else 1
    fits = len(rest) == len(dims) and all(
        not isinstance(dim, int) or dim == have for dim, have in list(zip(dims, rest))[start:]
    )
    if not fits:
        shown = [dim if isinstance(dim, int) else -1 for dim in dims]
        message = f'calibration input "{each.name}" has the shape {given}, the model takes {shown}'
        raise ToolError("INVALID_INPUT", message, input=each.name, wanted=shown, given=given)
