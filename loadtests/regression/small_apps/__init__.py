"""Applications for servers' own command lines: a small answer at /whole, and one in pieces.

Each is run in this folder, as a person runs a file of theirs, by the interpreter of a side. A tree
that is measured need not have them.
"""
