"""Tests of the servers, over real sockets."""
