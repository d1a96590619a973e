"""The recipe that a command line asks for: one by its name, one of its own flags, or its family's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from pipeline.errors import RecipeUnknown, UsageError
from pipeline.models.catalogue import FAMILIES
from pipeline.models.recipes import RECIPES, Recipe, Weights
from pipeline.options import together

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked for, in optimum-intel's words."""

    recipe: str | None
    weight_format: str | None
    group_size: int | None
    ratio: float | None
    sym: bool
    all_layers: bool

    @property
    def ending(self) -> str | None:
        """What a build's name tells of it; none where nothing was asked for."""
        return self.recipe or self.weight_format or ("int4" if self._is_own else None)

    def choose(self, family: str) -> Recipe:
        """For a model of that family."""
        if self.recipe and self._is_own:
            raise UsageError(detail="A --recipe says how wide all weights are: leave it out, or the flags beside it.")
        if self.weight_format in ("fp16", "fp32"):
            self._refuse_for_others("int4", self.weight_format)
            if self.sym:
                raise UsageError(detail=f"--sym is for int4 and int8, not for {self.weight_format}.")
            return RECIPES[self.weight_format]
        return self._own() if self._is_own else _named(self.recipe or _usual(family))

    @property
    def _for_int4(self) -> dict[str, Any]:
        asked = {"group_size": self.group_size, "ratio": self.ratio, "all_layers": self.all_layers or None}
        return {name: value for name, value in asked.items() if value is not None}

    @property
    def _is_own(self) -> bool:
        return bool(self.weight_format or self._for_int4 or self.sym)

    def _own(self) -> Recipe:
        if self.weight_format == "int8":
            self._refuse_for_others("int4", "int8")
        mode: Any = f"{self.weight_format or 'int4'}_{'sym' if self.sym else 'asym'}"
        return Recipe(name="custom", language=Weights(mode=mode, **self._for_int4))

    def _refuse_for_others(self, only: str, format: str) -> None:
        if self._for_int4:
            flag = next(iter(self._for_int4)).replace("_", "-")
            raise UsageError(detail=f"--{flag} is for {only}, not for {format}.")


@dataclass(frozen=True, kw_only=True)
class AskedOfCheckpoint(Asked):
    """With the ways that look at data, for which the checkpoint itself is needed."""

    awq: bool
    scale_estimation: bool
    dataset: str | None

    @property
    def _for_int4(self) -> dict[str, Any]:
        asked = {"awq": self.awq, "scale_estimation": self.scale_estimation, "dataset": self.dataset}
        return super()._for_int4 | {name: value for name, value in asked.items() if value}


def _named(name: str) -> Recipe:
    if name not in RECIPES:
        raise RecipeUnknown(name=name, known=", ".join(RECIPES))
    return RECIPES[name]


def _usual(family: str) -> str:
    return FAMILIES[family].recipe if family in FAMILIES else "int4"


def _group_size(context: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    if value is not None and value != -1 and value < 1:
        raise click.BadParameter("a number of weights, or -1 for a whole channel")
    return value


def _options(formats: tuple[str, ...]) -> tuple[Callable[[Any], Any], ...]:
    return (
        click.option("--recipe", metavar="R", help="A recipe by its name; by default that of the model's family."),
        click.option("--weight-format", type=click.Choice(formats), help="How wide the weights are to be."),
        click.option(
            "--group-size",
            type=int,
            callback=_group_size,
            metavar="N",
            help="Weights that share a scale, -1: a whole channel.  [default: 128]",
        ),
        click.option(
            "--ratio",
            type=click.FloatRange(0, 1, min_open=True),
            metavar="R",
            help="Share of the parameters in int4, the rest in int8.  [default: 1.0]",
        ),
        click.option("--sym", is_flag=True, help="Without zero points."),
        click.option("--all-layers", is_flag=True, help="The last layer in int4 too."),
    )


of_build = together("asked", Asked, *_options(("int4", "int8")))
of_checkpoint = together(
    "asked",
    AskedOfCheckpoint,
    *_options(("fp32", "fp16", "int8", "int4")),
    click.option("--awq", is_flag=True, help="Activation-aware weights; slow, needs a --dataset."),
    click.option("--scale-estimation", is_flag=True, help="Scales chosen by what layers give; needs a --dataset."),
    click.option("--dataset", metavar="NAME", help="What these look at, as optimum-intel names it."),
)
