"""Reviews by file: answers go out to a person as a table, and come back with what the person says about them."""

ANSWER, VERDICT, TEXT, BY = "answer", "verdict", "text", "by"
"""columns that are read again; the others are there to look at"""
