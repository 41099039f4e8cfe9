"""What is observed inside a server process: loop, threads, executor, collector and pools."""
