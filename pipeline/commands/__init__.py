"""The commands that need no engine: parse, call one function, echo. Only the table in `pipeline.cli` names them."""
