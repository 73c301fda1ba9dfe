"""Tests of the house itself: what holds for every module, command, limit, role and unit."""
