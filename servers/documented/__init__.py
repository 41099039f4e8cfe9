"""The applications that the frameworks' own documentation shows, for what equal answers cost.

They answer in their framework's own way, so that they keep no contract: other JSON, other error
pages, other content types. `loadtests why` counts them beside the stacks that answer alike.
"""
