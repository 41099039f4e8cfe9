"""The load on live servers: in Blocks of Slices, and in whole Runs."""
