"""The tool: plan, run, record, compare, publish. Start reading at `harness.cli`."""

__version__ = "0.1.0"
