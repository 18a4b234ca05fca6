"""What a model remembers of the rows it was fitted on: how many, and whether another fit's are the same."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..design import Observations
from ..errors import DataError
from ..reading import flag, sentence, whole
from ..rows import Rows, RowsElsewhere


@dataclass(frozen=True)
class Sample:
    """The rows of a fit.

    Attributes
    ----------
    rows : int
        With a weight above zero.
    weighted : bool
        Whether weights were given.
    digest : str
        Of the responses, weights, trials and known experts, in their order: equal for fits on the same rows.
    """

    rows: int
    weighted: bool
    digest: str

    @classmethod
    def of(cls, data: Observations) -> Sample:
        """Of what a fit is given."""
        text = hashlib.sha256(repr(data.classes).encode("utf-8", "surrogatepass"))
        for part in (data.y, data.w, data.trials, data.partial):
            if part is not None:
                text.update(np.ascontiguousarray(part, dtype=float).tobytes())
        used = len(data.y) if data.w is None else int(np.count_nonzero(data.w))
        return cls(used, data.w is not None, text.hexdigest()[:16])

    @classmethod
    def of_rows(cls, rows: Rows | RowsElsewhere, classes: tuple) -> Sample:
        """Of rows in memory or elsewhere; the digest of weighted ones that are elsewhere is their own."""
        if isinstance(rows, RowsElsewhere):
            return cls(rows.n_present, rows.at_hand.w is not None, rows.digest)
        text = hashlib.sha256(repr(classes).encode("utf-8", "surrogatepass"))
        for part in (rows.y, rows.row_weights):
            if part is not None:
                text.update(np.ascontiguousarray(part, dtype=float).tobytes())
        return cls(rows.n_present, rows.w is not None, text.hexdigest()[:16])

    def to_dict(self) -> dict[str, Any]:
        """JSON description."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Sample | None:
        """Inverse of `to_dict`; None of an older file, which has none."""
        if data is None:
            return None
        digest = sentence(data["digest"], "digest of the rows")
        if len(digest) > 64:
            raise DataError("the model file has a damaged digest of its rows")
        return cls(
            whole(data["rows"], "number of rows", 0, 2**53), flag(data["weighted"], "mark of weights"), digest
        )
