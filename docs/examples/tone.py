"""
Test
====
text
"""

from moestro import load_dataset

load_dataset("tone")
