"""Reads template.yaml as CloudFormation would, as far as a function's settings need it."""
