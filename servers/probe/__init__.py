"""What is observed inside a server process: loop, threads, executor, garbage collector and pools."""
