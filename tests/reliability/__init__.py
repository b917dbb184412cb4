"""`./run.py scoreboard`: what the portal promises about answers, counted against real processes; see __main__."""
