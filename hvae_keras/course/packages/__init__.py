"""What is handed over: scripts, a workflow and READMEs, and the steps that run on a grading platform."""
