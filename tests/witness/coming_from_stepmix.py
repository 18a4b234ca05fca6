"""StepMix's log-likelihood of the model on docs/coming-from.md, written to coming_from_stepmix.json.

    pip install stepmix==3.0.0 && python tests/witness/coming_from_stepmix.py

One step: two Gaussian components of `tuned`, whose weights depend on `stretchratio` by a softmax; best of 50
starts.
"""

import json
from pathlib import Path

import numpy as np
from stepmix.stepmix import StepMix

from moestro import load_dataset

tone = load_dataset("tone")
y, z = (np.array(tone[name])[:, None] for name in ("tuned", "stretchratio"))
model = StepMix(
    n_components=2, n_steps=1, measurement="gaussian_diag", structural="covariate", n_init=50, max_iter=5000,
    abs_tol=1e-12, rel_tol=0, random_state=0, progress_bar=0, verbose=0,
)  # fmt: skip
model.fit(y, z)
found = {"version": "3.0.0", "tone": model.score(y, z) * len(y)}
Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
