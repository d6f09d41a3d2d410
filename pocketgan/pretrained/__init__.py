"""Networks whose weights others trained, one a file; how their weights are found: `weights`."""
