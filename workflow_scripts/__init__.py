"""The verbs of the pipeline: one script per rule, run as ``python -m workflow_scripts.<rule>``."""
