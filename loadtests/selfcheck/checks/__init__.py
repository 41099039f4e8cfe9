"""The checks, one a file: each has a function `check`, and is a row of `CHECKS` in the command."""
