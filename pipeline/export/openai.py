"""Output and error lines in the form of the OpenAI Batch API, one for each item that has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, TextIO

from pipeline.display import to_json
from pipeline.export.files import replacing
from pipeline.export.order import Order, Tally
from pipeline.jobs import State
from pipeline.prompts import canonical
from pipeline.store.rows import AnswerRow, ItemRow

ENDED = (State.DONE, State.FAILED, State.CANCELLED)
ID = "batch_req_"
_OK = 200


class BatchLines:
    """Writes lines; what has not ended has none yet."""

    def __init__(self, file: TextIO, tally: Tally) -> None:
        self._file, self._tally = file, tally

    def write(self, item: ItemRow) -> None:
        if item.state not in ENDED:
            self._tally.left("not ended yet")
            return
        self._file.write(line(item))
        self._tally.wrote()


@contextmanager
def openai(order: Order, tally: Tally) -> Iterator[BatchLines]:
    with replacing(order.file) as file:
        yield BatchLines(file, tally)


def line(item: ItemRow) -> str:
    """An item that has ended, as a line. Its id is a digest of the rest: equal lines have equal ids."""
    answer = item.answer if item.state is State.DONE else None
    rest = {
        "custom_id": item.custom_id,
        "response": None if answer is None else _response(answer),
        "error": None if answer is not None else {"code": item.error_code, "message": item.error},
    }
    id = blake2b(canonical(rest), digest_size=12).hexdigest()
    return to_json({"id": ID + id, **rest}, ascii_only=True) + "\n"


def _response(answer: AnswerRow) -> dict[str, Any]:
    return {"status_code": _OK, "request_id": f"job-{answer.job}", "body": _completion(answer)}


def _completion(answer: AnswerRow) -> Mapping[str, Any]:
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion",
        "created": int(answer.created),
        "model": answer.model,
        "system_fingerprint": f"fp_{answer.build.digest[:12]}",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "finish_reason": answer.finish_reason,
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.answer_tokens,
            "total_tokens": answer.prompt_tokens + answer.answer_tokens,
        },
    }
