"""The pipeline: a folder a stage, in it a script a rule, run as ``python -m workflow_scripts.<stage>.<rule>``."""
