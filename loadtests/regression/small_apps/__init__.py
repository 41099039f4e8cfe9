"""Applications for servers' own command lines: a small answer at /whole, one in pieces, and
the same small answer to a body and to a form that was read to its end.

Each is run in this folder, as a person runs a file of theirs, by the interpreter of a side. A tree
that is measured need not have them.
"""
