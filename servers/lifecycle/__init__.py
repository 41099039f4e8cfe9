"""Starting, reading and stopping a server: in this loop, in a child process, or several."""
