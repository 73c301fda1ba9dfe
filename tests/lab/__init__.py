"""The lab: real systemd machines on one machine, each with a network and a cgroup of its own.

Not for production: everything here needs root, and lives in namespaces that the lab makes and
removes.
"""
