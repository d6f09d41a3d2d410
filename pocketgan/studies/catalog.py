"""The studies by name."""

from __future__ import annotations

from pocketgan.errors import unknown
from pocketgan.studies.decomposition import DECOMPOSITION
from pocketgan.studies.ends import ENDS
from pocketgan.studies.in_place import IN_PLACE, IN_PLACE_FRONT
from pocketgan.studies.input_skip import INPUT_SKIP
from pocketgan.studies.methods import METHODS
from pocketgan.studies.norms import NORMS
from pocketgan.studies.omgd import OMGD
from pocketgan.studies.one_run import FRONT
from pocketgan.studies.over_time import OVER_TIME
from pocketgan.studies.pocket import POCKET_STUDY
from pocketgan.studies.pseudo_pairs import PSEUDO_PAIRS
from pocketgan.studies.search_baselines import SEARCH_BASELINES
from pocketgan.studies.shrinking import PROGRESSIVE_SHRINKING
from pocketgan.studies.students import DISCRIMINATORS, INTERMEDIATE, TRADE_OFF
from pocketgan.studies.study import Study

STUDIES = {
    study.name: study
    for study in (
        METHODS,
        IN_PLACE,
        IN_PLACE_FRONT,
        INPUT_SKIP,
        OVER_TIME,
        ENDS,
        NORMS,
        FRONT,
        TRADE_OFF,
        PSEUDO_PAIRS,
        DECOMPOSITION,
        DISCRIMINATORS,
        INTERMEDIATE,
        OMGD,
        POCKET_STUDY,
        SEARCH_BASELINES,
        PROGRESSIVE_SHRINKING,
    )
}


def study_named(name: str) -> Study:
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    return STUDIES[name]
