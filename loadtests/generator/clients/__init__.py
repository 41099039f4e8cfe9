"""Clients on plain gevent sockets, whose answers carry the kernel's receive timestamps."""
