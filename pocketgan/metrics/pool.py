"""Several models of one recipe as one result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pocketgan.errors import SpecError
from pocketgan.metrics.bootstrap import Contributions
from pocketgan.metrics.compare import check_alike
from pocketgan.metrics.evaluation import Evaluation, worst_of


def pool(evaluations: Sequence[Evaluation], seed: int = 0) -> Evaluation:
    """The mean over several models of one recipe (say, of several seeds), evaluated alike.

    Intervals come from two levels, models and images. With two or three models they are rough and rather short.
    Raises SpecError where the evaluations were not alike or were made without intervals.
    """
    first = evaluations[0]
    for other in evaluations[1:]:
        check_alike(first, other)
        if other.scores.keys() != first.scores.keys():
            raise SpecError("models are pooled over the same metrics, and these differ; evaluate all with the same")
    contributions = {}
    for name in first.scores:
        parts = [evaluation.contributions[name] for evaluation in evaluations]
        reals = [part.real for part in parts if part.real is not None]
        generated = np.concatenate([part.generated for part in parts])
        contributions[name] = Contributions(generated, np.concatenate(reals) if reals else None)
    per_image = {
        name: np.mean([evaluation.per_image[name] for evaluation in evaluations], axis=0).tolist()
        for name in first.per_image
    }
    pooled = replace(
        first,
        scores={name: float(np.mean([each.scores[name] for each in evaluations])) for name in first.scores},
        per_image=per_image,
        worst=worst_of(per_image, first.names),
        warnings=tuple(dict.fromkeys(warning for each in evaluations for warning in each.warnings)),
        members=[each.scores for each in evaluations],
        contributions=contributions,
    )
    return pooled.resampled(seed)
