"""loopbench: benchmarks of Python's asynchronous web servers.

The packages lie at the top level of the repository, and here as links, so that they are imported
as `loopbench.servers`, `loopbench.loadtests` and `loopbench.results`, and never hide a package of
somebody's own that is called servers. Beside the links stands what all command lines share.
"""
