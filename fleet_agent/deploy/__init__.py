"""The pipeline: queue, plan, Ansible run, way back."""
