"""Every mistake of a user ends in one line (rule, value, remedy) and exit code 2, with nothing written."""
