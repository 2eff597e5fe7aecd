"""Claims as data: a sentence, where it comes from, and what must be shown for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationError

from workflow_scripts.experiment.config.messages import first_line
from workflow_scripts.experiment.config.settings import Axis, Flag, Number, Part, Text, left_out, setting
from workflow_scripts.storage.errors import InputError

Direction = Literal["above 0", "below 0", "different from 0"]
InMargin = Literal["within margin", "not above margin", "not below margin"]
Factor = Annotated[dict[Text, Number], Field(min_length=1)]
"""Names to coefficients."""


class CellContrast(Part):
    """Effectiveness of cells: the product of the coefficients of their loss, sampler (or cut) and domain."""

    losses: Factor = setting("losses, or distilling, contrastive: the mean over these; left out, all", left_out)
    samplers: Factor = setting("samplers, or hard: the mean over all but the random one", left_out)
    cuts: Factor = setting("cuts of the study of cuts, mean over its losses and samplers", left_out)
    domains: Factor = setting("domains, or in-domain, out-of-domain; left out, each", left_out)
    shown: Direction | InMargin = setting("what must be shown")
    cheaper: Flag = setting("what has positive coefficients must also cost less", False)
    contradicts: Flag = setting("the opposite, shown, contradicts the claim", True)


class GroupContrast(Part):
    """A quantity of the training groups, query by query."""

    quantity: Literal["entropy", "diameter"] = setting("of a group")
    samplers: Factor = setting("samplers, or each-hard: a part for every one but the random")
    shown: Direction = setting("what must be shown")
    contradicts: Flag = setting("the opposite, shown, contradicts the claim", True)


class Association(Part):
    """How a quantity of trainings goes with one of their samplers."""

    quantity: Literal["gradient variance", "final loss"] = setting("of a training")
    along: Literal["diameter", "kappa"] = setting("of its sampler")
    shown: Literal["above 0", "below 0"] = setting("sign of the rank correlation")


class _Claim(Part):
    """What all claims have."""

    sentence: Text = setting("the claim in one sentence")
    source: Text = setting("who makes it")


class CellClaim(_Claim):
    """Of effectiveness; a row a student, teacher and domain."""

    test: Literal["cells"] = setting("contrasts of cells over seeds and queries")
    parts: list[CellContrast] = setting("each must be shown", min_length=1)


class FactorialClaim(_Claim):
    """That the dials of the factorial act apart: every rectangle lies within the interaction's margin."""

    test: Literal["factorial"] = setting("rectangles of the factorial study")


class GroupClaim(_Claim):
    """Of training groups; a row a teacher."""

    test: Literal["groups"] = setting("contrasts of samplers over training queries")
    parts: list[GroupContrast] = setting("each must be shown", min_length=1)


class RunClaim(_Claim):
    """Of trainings; a row a teacher, the samplers the sample."""

    test: Literal["runs"] = setting("rank correlations over samplers, by exact permutation")
    parts: list[Association] = setting("each must be shown", min_length=1)


class CurveClaim(_Claim):
    """That score falls with the rank as a power law; a row a domain."""

    test: Literal["curves"] = setting("the power law's held-out error below its best rival's, for every ranker")


Claim = Annotated[CellClaim | FactorialClaim | GroupClaim | RunClaim | CurveClaim, Field(discriminator="test")]


class ClaimsFile(Part):
    """Claims that every experiment is judged by."""

    claims: Axis[Claim] = setting("claims")


def read_claims(content: object, source: str) -> dict[str, dict]:
    """Claims of a file by id, as plain dicts; :class:`InputError` naming its first fault and the file ``source``."""
    try:
        return ClaimsFile.model_validate(content).plain()["claims"]
    except ValidationError as error:
        raise InputError(f"{source}: {first_line(error, content if isinstance(content, dict) else {})}") from None
