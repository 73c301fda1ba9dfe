"""The proof of no loss: numbered messages among real nodes while seeded faults run, then a count.

`schedule` says what will fail, `faults` makes it fail, `onnode` are the agents, `checker` judges
the recorded history and knows nothing else.
"""
