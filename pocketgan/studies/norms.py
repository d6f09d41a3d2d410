"""Which norms and which padding a small generator needs: those that stay in its file cost a third of its time."""

from __future__ import annotations

from typing import Any

from pocketgan.recipes.games import PAIRS
from pocketgan.studies.ends import in_forms
from pocketgan.studies.in_place import form
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

SHARES = {"3 %": 0.03}

AS_PUBLISHED = "instance norm"
#: fields of the network, by what a reader sees
FORMS: dict[str, dict[str, Any]] = {
    AS_PUBLISHED: {},
    "batch norm": {"norm": "batch"},
    "batch norm inside, too": {"norm": "batch", "separable_norm": "batch"},
    "the same, zero padding": {"norm": "batch", "separable_norm": "batch", "padding": "zero"},
}


def points(setting: Setting) -> list[Point]:
    own = form(setting).model_copy(update={"norm": "instance", "separable_norm": "instance", "padding": "reflect"})
    return in_forms(setting, SHARES, own, FORMS)


NORMS = Study(
    name="norms",
    about="Instance norm looks at the whole image, so that it stays in an exported file, as changes of the layout "
    "around it do; batch norm is folded into convolutions, and nothing is left of it. Is a small generator worse "
    "with it: between convolutions, inside the separable ones too, and with zeros around its images in place of "
    "their reflection? All learn by in-place distillation of one size. Budgets are shares of the dense teacher's "
    "MACs.",
    source="our own question",
    data=PAIRS,
    points=points,
    claims=tuple(Claim(better=other, worse=AS_PUBLISHED) for other in FORMS if other != AS_PUBLISHED),
)
