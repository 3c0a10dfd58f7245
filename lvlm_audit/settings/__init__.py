"""Settings: what a person can choose, each declared once. Options, configuration and tables are made of it.

Standard library only: pytest imports this room in every run on the machine.
"""
