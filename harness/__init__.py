"""The tool: plan, run, record, compare, publish. Start reading at `harness.cli`."""

__version__ = "0.1.0"
JSON_SCHEMA = 2  # of every object that --json prints, and of holes.json: docs/schema.md
