"""`make demo`: a whole fleet on one machine without root. Its nodes are folders.

Real git, webhook, fleet-deploy, ansible-playbook and daemons; only systemd is played, by
``setup.supervisor``, and ssh is left out. Not for production.
"""
