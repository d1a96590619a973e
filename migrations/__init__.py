"""The database's history, one revision a file, run by Alembic.

The names of the revisions stand here too, so that a program start compares one word and need not
load Alembic. A new revision is a file in `versions/` and a word in REVISIONS.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa
    from alembic.config import Config

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
HEAD = REVISIONS[-1]
LOCK = 0x7069786D696C6C
"""the advisory lock that an upgrade of a server's database holds"""


def config(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration, built here: an installed program has no alembic.ini."""
    from alembic.config import Config

    found = Config(attributes={"connection": connection})
    # Alembic expands %(names)s in what it reads.
    found.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    found.set_main_option("path_separator", "os")
    return found


def run(connection: sa.Connection) -> None:
    """Bring the schema to the newest revision within the connection's transaction: all of it or nothing."""
    from alembic import command

    command.upgrade(config(connection), "head")
