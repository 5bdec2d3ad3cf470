"""What runs on a grading platform: the scripts and workflow that are handed over, and the steps they call."""
