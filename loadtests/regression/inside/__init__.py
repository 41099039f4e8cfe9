"""Code that is put into a server's process; this folder is on the path of such a process."""
