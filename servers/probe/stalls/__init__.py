"""Who held the loop: every stall with its task, its line and its cause. See docs/stalls.md."""
