"""The command line of a simulated node. Importing the command modules registers their commands."""

from dockeree.lab.nodes.simulated.shell import control, files, system, systemd_commands, text
from dockeree.lab.nodes.simulated.shell.interpreter import login, run_as, run_line, run_program

__all__ = ["control", "files", "login", "run_as", "run_line", "run_program", "system", "systemd_commands", "text"]
