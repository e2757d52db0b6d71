"""The servers and processes of the demo and the tests, and the environment they run in.

Standard library only: this code runs before anything is installed.
"""
