"""What a question is made of: its rows, and the Answer that each of them gives."""

from loopbench.loadtests.behaviour.framework.experiment import (
    Variants,
    experiment,
    experiments,
    variants,
)
from loopbench.loadtests.behaviour.framework.question import DEFAULT, NONE, Answer

__all__ = ["DEFAULT", "NONE", "Answer", "Variants", "experiment", "experiments", "variants"]
