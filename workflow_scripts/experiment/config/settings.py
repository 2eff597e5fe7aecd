"""What every part of the configuration is made of: types of values, and the base class of a part."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from workflow_scripts.experiment.options import LARGEST

T = TypeVar("T")
SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
FUNCTION = r"^[a-z][a-z0-9_]*$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_./+-]*$"
SHA256 = "^[0-9a-f]{64}$"
LONGEST_ID = 40
"""Letters of an id: the longest file name has five of them, and a file system takes 255."""
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
WORDS = {"null": None, "~": None, "true": True, "false": False}


def read_number(value: Any) -> Any:
    """A number written as text (``--config`` gives lists of texts, YAML 1.1 reads 2e-5 as one); all else as it is."""
    for kind in (int, float) if isinstance(value, str) else ():
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def read_whole(value: Any) -> Any:
    """As :func:`read_number`, with 64.0 read as 64."""
    number = read_number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def read_word(value: object) -> object:
    """null, true and false written as text; all else as it is."""
    return WORDS.get(value, value) if isinstance(value, str) else value


def _within_reason(number: float) -> float:
    if abs(number) > LARGEST:
        raise ValueError(f"must be at most {LARGEST} in size (is {reprlib.repr(number)})")
    return number


def _keep_whole(value: object, check: ValidatorFunctionWrapHandler) -> object:
    """A number as it was written: 3 stays 3, or it would be another text in a job's spec."""
    number = read_number(value)
    checked = _within_reason(check(number))
    return number if isinstance(number, int) else checked


def _distinct(values: list[T]) -> list[T]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"has {value!r} twice; name it once")
    return values


def without_nulls(value: object) -> object:
    """Entries of an axis without those that an overlay sets to null: merging alone could not take them out."""
    if isinstance(value, Mapping):
        return {name: entry for name, entry in value.items() if read_word(entry) is not None}
    return value


Whole = Annotated[int, Strict(), AfterValidator(_within_reason), BeforeValidator(read_whole)]
Natural = Annotated[Whole, Field(ge=0)]
"""A whole number from 0 up."""
Count = Annotated[Whole, Field(ge=1)]
"""A whole number from 1 up."""
Number = Annotated[float, Strict(), WrapValidator(_keep_whole)]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Flag = Annotated[bool, Strict(), BeforeValidator(read_word)]
Maybe = Annotated[T | None, BeforeValidator(read_word)]
"""A value or null."""
Slug = Annotated[str, Field(pattern=SLUG, max_length=LONGEST_ID)]
Name = Annotated[str, Field(pattern=NAME, max_length=100)]
"""A name that others gave: of a dataset, a field, a revision, a published system."""
Function = Annotated[str, Field(pattern=FUNCTION, max_length=LONGEST_ID)]
Text = Annotated[str, Field(min_length=1, max_length=4096, pattern=PRINTABLE)]
Distinct = Annotated[list[T], AfterValidator(_distinct)]
"""A list without repetitions."""
Some = Annotated[Distinct[T], Field(min_length=1)]
Axis = Annotated[dict[Slug, T], BeforeValidator(without_nulls)]
"""Entries by id."""


VALUE_OR_PART = Discriminator(lambda value: "part" if isinstance(value, Mapping) else "value")
"""Chooses in a union of a plain value, tagged "value", and a :class:`Part`, tagged "part"."""


Pooling = Literal["cls", "mean"]
Similarity = Literal["dot", "cosine"]


def left_out() -> None:
    """Default of a setting that stays out of the configuration where it is not given: a job's spec has no such key."""


def setting(description: str, default: Any = ..., *, unit: str | None = None, **limits: Any) -> Any:
    """A field of a :class:`Part`: its meaning, default (a class or a function is called for it), unit and limits."""
    extra: dict[str, Any] = {"unit": unit} if unit else {}
    if not callable(default):
        return Field(default, description=description, json_schema_extra=extra, **limits)
    extra |= {} if default is left_out else {"default": {}}
    return Field(default_factory=default, description=description, json_schema_extra=extra, **limits)


class Part(BaseModel):
    """A part of the configuration; knows no other settings than its own."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: object) -> object:
        if isinstance(given, Mapping):
            unknown = ", ".join(repr(key) for key in given if key not in cls.model_fields)
            if unknown:
                raise ValueError(f"unknown key {unknown}; known are {', '.join(sorted(cls.model_fields)) or 'none'}")
        return given

    def plain(self) -> dict[str, Any]:
        """The settings as dicts and lists, without those that are left out."""
        fields, given = type(self).model_fields, self.model_fields_set
        kept = [name for name in fields if name in given or fields[name].default_factory is not left_out]
        return {name: _plain(getattr(self, name)) for name in kept}

    def require(self, what: str, *names: str) -> None:
        """Raise ValueError for the first of ``names`` that was not given; ``what`` needs them."""
        for name in names:
            if name not in self.model_fields_set:
                raise ValueError(f"{name} is missing; {what} needs {', '.join(names)}")


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.plain()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
