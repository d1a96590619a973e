"""What tests of training and conversion share. They need the `convert` extra: `make test-convert`."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
