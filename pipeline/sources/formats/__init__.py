"""Data sets' own formats. Each is a module with one function, from a file to a table."""
