"""From what was measured to the rows of a results folder, with the checks that raise Warnings."""
