"""Tests, in folders that mirror servers/, loadtests/ and results/.

Beside them are `house/`, the project's own rules and how tests are run; `command_lines/`, what all
commands have in common; `walks/`, changes that ARCHITECTURE.md describes; and `faults/`, the
campaign of `make faults`.
"""
