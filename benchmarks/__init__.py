"""What the project costs, measured. Each is started from the project's folder: python -m benchmarks.NAME
[--help]

    startup    `harness --help` beside importing its libraries
    overhead   `harness run` beside the script alone
    registry   `harness ls` of 10,000 attempts
    publish    `harness publish` of 1,000 holes
    logs       reading logs
    noise      memory and delay of `harness run` when a script prints a gigabyte
    scripts    reading the knobs of training scripts
    events     logging a point of a curve
    faults     what is half written or false when a write fails
    kills      what is lost when a run is killed
    trainer    tokens a second of the built-in trainer
    knobs      what each added knob costs
    season     writes the big season of the others
    verdicts   how often verdicts are wrong
    referee    how often `harness check` agrees about merged records

Started as files they do not find the packages: `benchmarks/trainer.py` would stand in front of `trainer`.
"""
