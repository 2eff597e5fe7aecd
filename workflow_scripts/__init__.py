"""The pipeline: a folder a stage, in it a script a rule, run as ``python -m workflow_scripts.<stage>.<rule>``."""

import os
import sys

# The project's folder comes last: a user's random.py or torch.py there must not stand in for the library.
sys.path.sort(key=os.path.dirname(os.path.dirname(__file__)).__eq__)

from workflow_scripts.storage.processor import settle

settle(sys.argv)
