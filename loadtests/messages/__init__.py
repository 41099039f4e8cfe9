"""What the harness, the load generator, and a master and its workers say to each other."""
