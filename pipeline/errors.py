"""Every error a person can meet.

    PixmillError                 ends the program with a sentence and an exit code
    +-- UsageError               2: the command line asks for something impossible
    +-- SetupError               1: this machine, model or database is not ready
    |   +-- Database...
    |   +-- Model...
    |   +-- Device...
    +-- JobError                 fails one job and never stops a batch; has a code
        +-- (permanent)          another try cannot help
        +-- Retried              tried again with back-off, a few times
        +-- Ended                a person or a clock decided

A class's docstring is its message; the braces are filled with the facts given when it is raised.
"""

from __future__ import annotations

from typing import ClassVar


class PixmillError(Exception):
    """Something went wrong: {detail}"""

    exit_code: ClassVar[int] = 1

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(" ".join((type(self).__doc__ or "").split()).format(**facts))


class UsageError(PixmillError):
    """{detail}"""

    exit_code = 2


class SetupError(PixmillError):
    """{detail}"""


class SettingInvalid(SetupError):
    """{name} = {value!r} ({origin}) cannot be used: {why}"""


# --- the database ------------------------------------------------------------------------------


class DatabaseUnreachable(SetupError):
    """The database {url} cannot be reached: {why}"""


class DatabaseRefused(DatabaseUnreachable):
    """The database {url} lets nobody in: {why}. Look at its name, the user and the password."""


class DatabaseReadOnly(SetupError):
    """{path} cannot be written: {why}. Make it writable, or point PIXMILL_HOME or PIXMILL_DATABASE_URL elsewhere."""


class DatabaseFull(SetupError):
    """There is no room left for the database {url}. Nothing stored is lost:
    free some space and run the same command again."""


class DatabaseOnNetwork(SetupError):
    """{path} lies on a network file system ({kind}), where SQLite's write-ahead log does not work.
    Pictures may be remote, the database not: set PIXMILL_HOME to a local folder,
    or PIXMILL_DATABASE_URL to PostgreSQL."""


class DatabaseNewer(SetupError):
    """The database {url} has schema {found}, which this pixmill ({version}) does not know: a newer pixmill made it.
    Install that version, or use another database."""


class DatabaseOlder(SetupError):
    """The database {url} has schema {found}, this pixmill needs {needed}. Run: pixmill db upgrade"""


class DatabaseDamaged(SetupError):
    """The database {url} cannot be used: {why}"""


# --- the broker --------------------------------------------------------------------------------


class BrokerUnreachable(SetupError):
    """The broker {url} cannot be reached: {why}. Start Redis there, or set PIXMILL_BROKER_URL."""


# --- models and devices ------------------------------------------------------------------------


class ModelMissing(SetupError):
    """There is no model {name!r}: neither a directory nor a folder in {models}.{known}"""


class ModelNotGiven(SetupError):
    """Which model? Name one with -m NAME (a folder in {models}) or -m DIRECTORY, or set PIXMILL_MODEL.{known}"""


class NoModelYet(SetupError):
    """There is no model in {models} yet. Fetch one that knows photographs, such as
    `pixmill models pull OpenVINO/InternVL2-1B-int4-ov`, or name a directory with -m DIRECTORY.
    Pixmill's own, --model demo, knows only the scenes that `pixmill demo` draws."""


class ModelBroken(SetupError):
    """The model in {path} cannot be used: {why}"""


class ModelChanged(SetupError):
    """The model {alias!r} in {path} is build {found}, but this database's answers name build {known} under that alias.
    If the change is meant, run: pixmill models alias {alias} {path}"""


class ModelChangedMeanwhile(SetupError):
    """The files of the model in {path} have changed since this program looked at them, so nothing more is asked.
    Run the same command again to ask what is there now."""


class ModelNameUnfit(UsageError):
    """{name!r} cannot be a model's name: {why}. Choose another, with --name where a command makes one up."""


class ModelNameTaken(SetupError):
    """{path} is there already and is no model. Move it away, or choose another name with --name."""


class ModelNameOther(SetupError):
    """The name {name!r} has a model from {known} already, and this would be one from {source}.
    Choose another name with --name, or remove that model first: pixmill models rm {name}"""


class ModelInUse(SetupError):
    """The model {name!r} is at work in {workers}. End that first, or remove the model later."""


class ModelNotOurs(SetupError):
    """{name} {why}, so Pixmill does not remove it."""


class ModelBusy(SetupError):
    """Another pixmill is making or removing the model {name!r} right now. Wait until it has ended, or end it."""


class ModelsUnwritable(SetupError):
    """The folder of models {path} cannot be changed: {why}. Make it writable, or point PIXMILL_HOME elsewhere."""


class DiskTooSmall(SetupError):
    """The model {name!r} takes {needs} more in {path}, where {free} are free.
    Free some space, or point PIXMILL_HOME to a larger disk, and run the same command again."""


class DiskFull(SetupError):
    """There was no room left for the model {name!r} in {path}. Free some space and run the same command again."""


class ModelUnreadable(SetupError):
    """OpenVINO {version} cannot read {path}: {why}. If a newer one wrote it: pip install --upgrade openvino-genai"""


class ModelCompressed(SetupError):
    """The weights of {path} are {kinds} already: compressing them again would only lose more.
    Start from a build in floating point, which `pixmill models convert CHECKPOINT --recipe fp16` makes."""


class RecipeUnknown(UsageError):
    """There is no recipe {name!r}. Recipes: {known}"""


class RecipeUnfit(SetupError):
    """The recipe {recipe} does not fit {part}: groups of {group_size} do not divide its layers, {widths} wide.
    This fits: {fitting}"""


class RecipeNeedsData(UsageError):
    """The recipe {recipe} looks at data with the checkpoint at hand. Use `pixmill models convert` for it."""


class NothingToCompress(UsageError):
    """The recipe {recipe} leaves all weights as they are: there is nothing to compress."""


class CompressionFailed(SetupError):
    """NNCF could not compress {part}: {why}"""


class PartUnwritable(SetupError):
    """{path} could not be written: {why}. If the disk is full, free some space and run the same command again."""


class VisionUnsupported(SetupError):
    """The vision tower of {family} cannot be quantised yet: {why}. Leave out --vision."""


class VisionTooFar(SetupError):
    """The quantised vision tower sees too differently: {figures}. Nothing was changed.
    Try other pictures with --calibrate DIR, or leave out --vision."""


class PicturesTooFew(SetupError):
    """Calibration takes {least} pictures at least, and in {folder} only {found} can be opened."""


class FamilyUnsupported(SetupError):
    """{path} is a model of the family {family!r}, for which there is no recipe. Families: {known}"""


class ConvertExtraMissing(SetupError):
    """Converting a checkpoint needs packages that are not installed here ({missing}).
    Install them with: {python} -m pip install 'pixmill[convert]'"""


class ConversionFailed(SetupError):
    """{checkpoint} could not be converted: {why}. All that was said is in {log}"""


class CodeUntrusted(SetupError):
    """{title} checkpoints carry Python code of their own, which conversion runs. Look at it in {place}, then add
    {flags} to the command."""


class NotInCatalogue(UsageError):
    """There is no model {name!r} in the catalogue{near} It has: {known}.
    Any other is named by its repository on the hub: ORG/NAME."""


class NoReadyBuild(SetupError):
    """There is no ready OpenVINO build of {name}{why}. Make one: pixmill models convert {repo}"""


class BuildIncomplete(SetupError):
    """The build in {repo} is not whole: {missing} missing there. Nothing was fetched. Choose another --revision,
    or another repository."""


class RepoUnknown(SetupError):
    """There is no model {repo!r} on {hub}, or it is private. Look at the spelling (ORG/NAME, capitals count);
    for a private one set HF_TOKEN to a token that may read it."""


class RevisionUnknown(SetupError):
    """The model {repo} has no revision {revision!r}. {hub}/{repo}/tree/main lists its branches, tags and commits."""


class RepoGated(SetupError):
    """The model {repo} is given only to those who accept its licence. Do so on {hub}/{repo},
    then set HF_TOKEN to a token of that account and run the same command again."""


class HubRefused(SetupError):
    """The hub {hub} refused: {why}. If HF_TOKEN is set, see whether the token is still valid and may read {repo}."""


class HubUnreachable(SetupError):
    """The hub {hub} cannot be reached: {why}. Look at the network, at HTTPS_PROXY and at HF_ENDPOINT,
    then run the same command again."""


class HubFailed(SetupError):
    """The hub {hub} failed: {why}. What has come so far is kept: run the same command again later."""


class HubOffline(SetupError):
    """HF_HUB_OFFLINE is set, so nothing is fetched. Unset it to pull {repo}."""


class DownloadCut(SetupError):
    """The download of {file} ended at {done} of {total}: {why}. What has come is kept:
    run the same command again to go on from there."""


class DownloadWrong(SetupError):
    """{file} came with other content than {repo} names for it, and was removed; the rest is kept.
    Run the same command again to fetch it once more."""


class ModelUnverified(SetupError):
    """The model {name} failed its check on {device}: {why}.
    `pixmill models verify {name} --device {device}` looks again; --unverified uses it all the same."""


class DeviceUnknown(SetupError):
    """There is no device {device!r} here. Devices: {devices}"""


class NothingToRun(SetupError):
    """There is nothing to run: {file} has neither a [[worker]] nor a [[watch]] table. Write one with the options
    of `pixmill worker run`, such as model = "internvl2-1b" and device = "CPU"."""


class WorkerTableUnfit(SetupError):
    """The {kind} {name} in {file} cannot be run: {why}"""


class DeviceNotPinned(SetupError):
    """{device} lets OpenVINO choose, and an answer must name the device that ran it.
    Pick one that `pixmill devices` lists, such as CPU."""


class EngineFailed(SetupError):
    """The engine did not start: {why}"""


class DecodersFailed(SetupError):
    """The picture decoders did not start: {why}"""


class BlobsUnwritable(SetupError):
    """The folder for pictures that rows bring with them, {path}, cannot be written: {why}.
    Make it writable, or point PIXMILL_MEDIA_ROOT or PIXMILL_HOME elsewhere, and run the same command again."""


class OutputForeign(SetupError):
    """Line {line} of {path} is no result that Pixmill wrote, so nothing is added to it. Name another file with -o."""


class OutputTaken(SetupError):
    """Another program writes its results to {path} right now. Wait until it has ended, or name another file with -o."""


# --- things people name ------------------------------------------------------------------------


class AliasUnknown(SetupError):
    """There is no model {name!r} in the database. `pixmill models ls` lists them."""


class BatchUnknown(SetupError):
    """There is no batch {name!r}. `pixmill batch ls` lists them."""


class BatchTaken(SetupError):
    """The batch {name!r} was made by another command ({spec}). Choose another --name."""


class BatchEnded(SetupError):
    """The batch {name!r} is {state} since {when}, so it cannot be {verb}.
    `pixmill batch rerun {name}` runs its items again."""


class BatchLive(SetupError):
    """The batch {name!r} is {state}: it asks still. `pixmill batch cancel {name}` ends it; then it can be removed."""


class PictureRunning(SetupError):
    """An engine has a question about the picture right now, for {batches}. Wait until it has ended,
    or `pixmill batch cancel` it, and run the same command again."""


class PictureWatched(SetupError):
    """{doors} names the picture, and would ask about it again. Change or remove it first,
    then run the same command again."""


class LogHeld(SetupError):
    """All of it is gone from the tables, but another program uses the database, whose files may still hold some.
    Run the same command again when that has ended."""


class PictureUnclear(UsageError):
    """{text!r} {why}"""


class AgeUnfit(UsageError):
    """--older-than {text!r} {why}. Give a span such as 90d, 24h or 90m."""


class DeadlineUnfit(UsageError):
    """The deadline {text!r} {why}. Give a span such as 90m, 24h or 2d, or a moment such as 2026-11-21T08:00."""


class SinceUnfit(UsageError):
    """--since {text!r} is neither a span nor a date. Give one such as 90m, 24h or 2d, or 2026-11-20."""


class WindowUnfit(UsageError):
    """The window {text!r} {why}. Give two times of the day such as 22:00-06:00, and a zone if it is not the local one:
    "22:00-06:00 Europe/Berlin"."""


class ZoneUnknown(UsageError):
    """There is no time zone {name!r}{hint} Zones are named as in Europe/Berlin, America/New_York or UTC."""


class ZoneUnfit(UsageError):
    """{why} In {zone}, {example!r} next runs, in local time, at {runs}."""


class CronUnfit(UsageError):
    """The cron expression {text!r} cannot be used: {why}. A correct one is {example!r} (minute, hour, day of the month,
    month, day of the week), which next runs, in local time, at {runs}."""


class IntervalUnfit(UsageError):
    """The interval {text!r} {why}. Give one such as 15m, 6h or 2d."""


class ScheduleUnknown(SetupError):
    """There is no schedule {name!r}. `pixmill schedule ls` lists them."""


class ScheduleTaken(SetupError):
    """There is a schedule {name!r} already. Remove it first (pixmill schedule rm {name}), or choose another name."""


class ScheduleUnread(SetupError):
    """This program cannot read the schedule {name!r}, and leaves it to others: {why}"""


class CommandUnfit(UsageError):
    """{words!r} cannot be scheduled: {why}"""


class NoticeRefused(PixmillError):
    """The notice was not received: {why}."""


class WorkerUnknown(SetupError):
    """There is no worker {name!r}. `pixmill worker ls` lists those at work, by their number and their owner."""


class JobUnknown(SetupError):
    """There is no job {id}. `pixmill failed ls` lists the failed ones."""


class AnswerUnknown(SetupError):
    """There is no answer {id}. `pixmill answers` lists them with their numbers."""


class QuestionsUnfit(UsageError):
    """The questions in {file} cannot be asked: {why}"""


class QuestionSetUnknown(UsageError):
    """There is no file {name!r} with questions, nor a set of that name.{near} `pixmill prompts ls` lists the sets."""


class FieldUnknown(UsageError):
    """There is no field {field!r} to filter by. Fields: {known}"""


# --- one job -----------------------------------------------------------------------------------


class JobError(PixmillError):
    """{detail}"""

    code: ClassVar[str] = "error"


class ImageMissing(JobError):
    """there is no such {what}"""

    code = "image_missing"

    def __init__(self, *, what: str = "file") -> None:
        super().__init__(what=what)


class ImageUnreadable(JobError):
    """the picture cannot be read: {why}"""

    code = "image_unreadable"


class ImageTruncated(JobError):
    """the picture ends too early: {why}"""

    code = "image_truncated"


class ImageTooLarge(JobError):
    """the picture is too large: {why}"""

    code = "image_too_large"


class ImageUnsupported(JobError):
    """this is not a picture that can be used: {why}"""

    code = "image_unsupported"


class ImageTimeout(JobError):
    """decoding the picture took longer than {seconds:g} s"""

    code = "image_timeout"


class PromptTooLong(JobError):
    """the question has {tokens} tokens, the model takes {limit} with its answer"""

    code = "prompt_too_long"


class SchemaInvalid(JobError):
    """the answer form is not valid: {why}"""

    code = "schema_invalid"


class RowInvalid(JobError):
    """the row cannot be used: {why}"""

    code = "row_invalid"


class ForbiddenPath(JobError):
    """the path is not allowed: {why}"""

    code = "forbidden_path"

    def __init__(self, *, why: str = "it lies outside the allowed folders") -> None:
        super().__init__(why=why)


class ForbiddenUrl(JobError):
    """the address is not allowed: {why}"""

    code = "forbidden_url"


class Retried(JobError):
    """{detail}"""


class EngineCrashed(Retried):
    """the engine died while it worked on this picture alone"""

    code = "engine_crashed"


class EngineStalled(Retried):
    """the engine made no progress for {seconds:g} s"""

    code = "engine_stalled"


class OutOfCache(Retried):
    """the request does not fit into the engine's cache, not even alone; a larger --cache-size may help"""

    code = "out_of_cache"


class EmptyAnswer(Retried):
    """the model answered nothing"""

    code = "empty_answer"


class InvalidAnswer(Retried):
    """the answer does not have the asked form: {why}"""

    code = "invalid_answer"


class FetchFailed(Retried):
    """the picture could not be fetched: {why}"""

    code = "fetch_failed"


class DatabaseBusy(Retried):
    """the database was busy for {seconds:g} s"""

    code = "database_busy"


class Ended(JobError):
    """{detail}"""


class Cancelled(Ended):
    """cancelled"""

    code = "cancelled"


class DeadlinePassed(Ended):
    """the batch's deadline passed first"""

    code = "deadline_passed"


def _leaves(cls: type[JobError]) -> list[type[JobError]]:
    children = cls.__subclasses__()
    return [leaf for child in children for leaf in _leaves(child)] if children else [cls]


CODES: dict[str, type[JobError]] = {cls.code: cls for cls in _leaves(JobError)}


def is_retried(code: str) -> bool:
    """Whether a job that failed with this code is worth another try."""
    return issubclass(CODES.get(code, JobError), Retried)
