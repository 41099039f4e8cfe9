"""What the instrument is held against: a capture of packets, strace, and stock Locust users."""
