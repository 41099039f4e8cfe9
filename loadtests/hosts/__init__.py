"""Where processes run: CPUs of this machine, servers and workers on other hosts."""
