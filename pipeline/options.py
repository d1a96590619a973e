"""Options that several commands share, and the values they become."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from pipeline import deadlines
from pipeline.errors import UsageError
from pipeline.jobs import Lane

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How urgently a batch wants its answers."""

    lane: Lane = Lane.NORMAL
    deadline: float | None = None
    """what is not answered by then is given up"""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """From where pictures may be fetched, beside what the settings allow otherwise."""

    allowed_domains: tuple[str, ...] = ()
    allow_private: bool = False

    @property
    def flags(self) -> dict[str, object]:
        """As settings, of which none is given unless somebody gave it."""
        return {"allowed_domains": self.allowed_domains or None, "allow_private": self.allow_private or None}


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How the engine is to run; the names are openvino-genai's."""

    max_num_seqs: int = 16
    max_num_batched_tokens: int | None = None
    cache_size: int | None = None
    enable_prefix_caching: bool = True
    device_config: Mapping[str, str] = field(default_factory=dict)
    unverified: bool = False
    """whether a build may run that was never verified on its device"""


def together(name: str, kind: type[Any], *options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator; the command receives them as one value of that kind."""
    fields = tuple(kind.__dataclass_fields__)

    def decorate(command: F) -> F:
        def gathered(**values: Any) -> Any:
            values[name] = kind(**{field: values.pop(field) for field in fields})
            return command(**values)

        gathered.__doc__, gathered.__name__ = command.__doc__, command.__name__
        # A decorator further out hands its parameters on through this list; click collects them there.
        gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        decorated: Any = gathered
        for option in reversed(options):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate


def _pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for key, equals, _ in pairs:
        if not (key and equals):
            raise UsageError(detail=f"{parameter.opts[0]} takes KEY=VALUE, not {key!r}")
    return {key: value for key, _, value in pairs}


class Seconds(click.FloatRange):
    """A number of seconds. NaN is none, though it is neither less nor more than a bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


model = click.option("-m", "--model", metavar="MODEL", help="A model's name or its directory.")
device = click.option("--device", metavar="DEVICE", help="An OpenVINO device; `pixmill devices` lists them.")
name = click.option("--name", metavar="NAME", help="A name for the batch.")
force = click.option(
    "--force/--missing-only",
    help="Ask again what is answered already (old answers stay stored), or only what is not.  [default: missing-only]",
)
no_cache = click.option(
    "--no-cache",
    is_flag=True,
    help="Ask about each picture even if one with the same content was asked about. What is answered stays so.",
)
dry_run = click.option("--dry-run", is_flag=True, help="Say what would be asked, and ask nothing.")


def _deadline(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    return None if value is None else deadlines.parse(value, time.time())


terms = together(
    "terms",
    Terms,
    click.option(
        "--priority",
        "lane",
        type=click.Choice([lane.value for lane in Lane]),
        default=Lane.NORMAL.value,
        show_default=True,
        callback=lambda context, parameter, value: Lane(value),
        help="What is high goes before all that is normal, and that before what is low.",
    ),
    click.option(
        "--deadline",
        metavar="WHEN",
        callback=_deadline,
        help="Give up what is not answered by then: 90m, 24h, 2d, or 2026-11-21T08:00.",
    ),
)


def _window(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from pipeline.windows import Window  # zones cost a moment, which --help need not wait for

    return None if value is None else str(Window.parse(value))


window = click.option(
    "--window",
    metavar="HOURS",
    callback=_window,
    help='Answer only at these hours: 22:00-06:00, or "22:00-06:00 Europe/Berlin".',
)


reach = together(
    "reach",
    Reach,
    click.option(
        "--allow-domain",
        "allowed_domains",
        multiple=True,
        metavar="DOMAIN",
        help="Fetch pictures from it: example.org, .example.org, http://example.org or s3://BUCKET. Repeatable.",
    ),
    click.option("--allow-private", is_flag=True, help="Fetch also from addresses of private networks."),
)


def _lanes(context: click.Context, parameter: click.Parameter, value: str) -> tuple[Lane, ...]:
    asked = {part.strip() for part in value.split(",") if part.strip()}
    if not asked or asked - set(Lane):
        raise UsageError(detail=f"--lanes takes some of {', '.join(Lane)}, separated by commas, not {value!r}")
    return tuple(lane for lane in Lane if lane in asked)


lanes = click.option(
    "--lanes",
    default=",".join(Lane),
    show_default=True,
    callback=_lanes,
    metavar="LIST",
    help="Only what was submitted with these priorities.",
)

device_config = click.option(
    "--device-config",
    multiple=True,
    callback=_pairs,
    metavar="KEY=VALUE",
    help="An OpenVINO property, such as INFERENCE_PRECISION_HINT=f32. Repeatable.",
)

engine = together(
    "engine",
    EngineOptions,
    click.option(
        "--max-num-seqs",
        type=click.IntRange(1, 1024),
        default=EngineOptions.max_num_seqs,
        show_default=True,
        metavar="N",
        help="Requests that run at once.",
    ),
    click.option(
        "--max-num-batched-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="Tokens in one step; OpenVINO's default if not given.",
    ),
    click.option(
        "--cache-size",
        type=click.IntRange(min=1),
        metavar="GIB",
        help="Memory for the KV cache; if not given it grows with what runs.",
    ),
    click.option(
        "--enable-prefix-caching/--no-enable-prefix-caching",
        default=EngineOptions.enable_prefix_caching,
        show_default=True,
        help="Keep what requests have in common.",
    ),
    device_config,
    click.option(
        "--unverified", is_flag=True, help="Do not check first that a build works here; `models verify` does that."
    ),
)
