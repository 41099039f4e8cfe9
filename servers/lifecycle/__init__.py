"""Starting, reading and stopping a server: in this event loop, in a child process, or several of them."""
