"""The report of a results folder: sections made from its rows, as one HTML page and as Markdown.

One direction: `material` reads, a module a section makes `parts` (text, tables,
plots as values), `html` and `markdown` write the same parts down.
"""
