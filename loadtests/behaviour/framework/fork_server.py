"""What the fork server, and nobody else, imports before it forks experiments: every Question.

It is a child of the harness, and ends with it, also where that is killed; what it has forked ends
with it in turn.
"""

import os

from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.servers.supervision.os_stats import die_with_parent

die_with_parent(os.getppid())
experiments()
