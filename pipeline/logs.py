"""Logs: one line of key=value pairs on standard error for whatever happened, ours and Celery's."""

from __future__ import annotations

import json
import logging
import re
import time

_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]*@")


class KeyValue(logging.Formatter):
    """`time=... level=... action=...`; words of other libraries are one quoted `message`."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if not text.startswith("action="):
            text = f"action=log logger={record.name} message={json.dumps(text)}"
        if record.exc_info:
            text += f" error={json.dumps(self.formatException(record.exc_info))}"
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = f"time={moment}.{record.msecs:03.0f}Z level={record.levelname.lower()} {text}"
        # No library is known to log one; an address with its password in a log would stay there for long.
        return _PASSWORD.sub(r"\1:***@", " ".join(line.splitlines()))


def to_stderr() -> None:
    """Send this program's logs to standard error. Celery says of each ticket that it came: too much."""
    handler = logging.StreamHandler()
    handler.setFormatter(KeyValue())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("celery", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
