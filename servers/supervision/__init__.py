"""Child processes in general: how they are started, commanded, read and ended."""
