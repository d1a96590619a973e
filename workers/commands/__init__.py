"""The commands that need an engine. Only the table in `pipeline.cli` names them."""
