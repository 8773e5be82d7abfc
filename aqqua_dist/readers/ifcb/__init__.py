"""Bins of the Imaging FlowCytobot and their class files."""
