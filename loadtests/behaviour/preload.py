"""Imported by the process that experiments are forked from: every Question, once."""

from loadtests.behaviour.catalogue import experiments

experiments()
