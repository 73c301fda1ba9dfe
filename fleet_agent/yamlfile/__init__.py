"""Strict YAML for files that people write: every value knows its line, every mistake its mend.

``compose`` makes nodes of text, ``spot`` reads values out of nodes, ``mistakes`` collects. Needs
PyYAML; not for anything that a node of the fleet reads (those files are JSON).
"""
