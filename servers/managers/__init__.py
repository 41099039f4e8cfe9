"""Several worker processes under the server's own manager, as people deploy it."""
