"""The same work done by others: pyinfra, and an ordinary playbook of 21 tasks."""
