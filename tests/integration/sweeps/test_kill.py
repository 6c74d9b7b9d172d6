"""A sweep killed by a real SIGKILL keeps its finished trials and goes on with the one it was at."""

from __future__ import annotations

import json
import subprocess
import sys

from movierec.sweeps.identity import stored_request
from movierec.sweeps.report import sweep_record
from movierec.sweeps.run import sweep
from tests.support.project import process_environment

PROGRAM = """
import json, os, signal, sys

from movierec.settings import load_settings
from movierec.sweeps.run import sweep
from movierec.sweeps.request import SweepRequest


class Killer:
    seen = 0

    def on_start(self, plan):
        self.seen += 1

    def on_step(self, epoch, step): ...

    def on_epoch(self, result):
        if (self.seen, result.epoch) == (3, 2):
            os.kill(os.getpid(), signal.SIGKILL)


sweep(SweepRequest.of(**json.loads(sys.argv[1])), load_settings(), hooks=[Killer()])
"""
REQUEST = {
    "training": {
        "preset": "report",
        "hyperparameters": {"hidden_dim": 4, "num_layers": 1, "epochs": 3},
    },
    "search": ["learning_rate"],
    "trials": 5,
    "name": "killed",
}


def test_a_killed_sweep_goes_on(project):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(REQUEST)],
        env={**process_environment(project)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    left = sweep_record(project, "killed")
    assert left.counts == {"done": 2, "stopped": 1}
    (killed,) = (trial for trial in left.trials if trial.state == "stopped")
    assert killed.epochs == 1  # the second was not reported any more

    stored = stored_request(project, "killed")
    both = sweep(stored.model_copy(update={"trials": 2}), project)
    assert both.counts == {"done": 4, "stopped": 1}
    kept = {trial.number: trial for trial in both.trials}
    assert all(kept[t.number] == t for t in left.trials if t.state == "done")
    assert kept[3].params == killed.params
    assert kept[3].epochs == 3
    assert kept[4].params not in [trial.params for trial in left.trials]
