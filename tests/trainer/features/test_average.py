"""Averages of the weights against a count of their own; and training with rounded weights."""

from __future__ import annotations

import pytest

from trainer.config import ConfigError, load_config

pytestmark = pytest.mark.slow

STEPS = {"ITERATIONS": "12", "WARMDOWN_ITERS": "8", "VAL_LOSS_EVERY": "0"}


@pytest.fixture
def watched(tiny, tmp_path):
    """Train under some knobs: the weights after each step (0: as built), those at the end, the losses."""
    from trainer.setup import prepare
    from trainer.train import Observer, train

    def run(**knobs: str):
        seen, end, losses, models = [], {}, [], []

        def keep(model) -> dict:
            return {name: p.detach().double().clone() for name, p in model.named_parameters()}

        def start(model) -> None:
            models.append(model)
            seen.append(keep(model))

        def step(report) -> None:
            losses.append(report.train_loss)
            seen.append(keep(models[0]))

        observer = Observer(on_init=start, on_step=step, on_end=lambda run: end.update(keep(run.model)))
        out = tmp_path / "-".join(["out", *knobs.values()])
        out.mkdir()
        result = train(prepare(load_config(tiny | STEPS | knobs)), out, observer=observer)
        assert result.status == "ok"
        return seen, end, losses

    return run


def test_ema_is_the_average_it_says(watched):
    import torch

    seen, end, _ = watched(EMA_DECAY="0.8")
    for name, found in end.items():
        expected = 0.8**12 * seen[0][name]
        expected += sum(0.2 * 0.8 ** (12 - step) * seen[step][name] for step in range(1, 13))

        assert torch.allclose(found, expected, atol=1e-5), name


def test_swa_is_the_mean_of_late_samples(watched):
    """Decay over the last 8 of 12 steps: the factor is below 0.6 from step 9 on; every 2nd is taken."""
    import torch

    seen, end, _ = watched(SWA_ENABLED="1", SWA_EVERY="2", SWA_START_FRAC="0.6")
    for name, found in end.items():
        expected = torch.stack([seen[step][name] for step in (10, 12)]).mean(0)

        assert torch.allclose(found, expected, atol=1e-6), name


def test_an_average_changes_no_step_of_training(watched):
    assert watched(EMA_DECAY="0.9")[2] == watched()[2]


def test_an_average_survives_a_stop(trainer, tiny, tmp_path):
    """A run cut in two by its checkpoint packs the same average."""
    import signal
    import subprocess
    import sys

    from tests.trainer.conftest import file_hash, process_env
    from tests.trainer.test_train import wait_for

    knobs = tiny | {"ITERATIONS": "40", "EMA_DECAY": "0.9", "CHECKPOINT_EVERY": "5", "VAL_LOSS_EVERY": "0"}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert trainer(knobs, "--out", whole).returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", "--out", str(broken)],
        env=process_env(knobs),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: (broken / "checkpoint.safetensors").exists(), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert trainer(knobs, "--out", broken, "--resume").returncode == 0

    assert file_hash(broken / "model.zlib") == file_hash(whole / "model.zlib")


def test_two_averages_at_once_are_refused():
    with pytest.raises(ConfigError, match=r"EMA_DECAY=0\.9.*SWA_ENABLED"):
        load_config({"EMA_DECAY": "0.9", "SWA_ENABLED": "1"}).check()


# training with rounded weights --------------------------------------------------------------------


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("size", [0.05, 1.0])
def test_training_sees_what_the_artifact_will_hold(bits, size):
    import torch

    from trainer.features.qat import fake_quantize
    from trainer.quantize import clip_rank, dequantize_tensor, quantize_tensor

    weights = torch.randn(64, 256, generator=torch.Generator().manual_seed(bits)) * size
    seen = fake_quantize(weights, bits, clip_rank(256))
    stored = dequantize_tensor(*quantize_tensor(weights, bits), torch.float32)

    assert torch.allclose(seen, stored, rtol=1e-6, atol=1e-7)
    assert (seen - weights).abs().max() > 0


def test_the_gradient_passes_the_rounding():
    import torch

    from trainer.features.qat import fake_quantize

    weights = torch.randn(4, 8, requires_grad=True)
    wanted = torch.randn(4, 8)
    (fake_quantize(weights, 4, 6.99) * wanted).sum().backward()

    assert weights.grad is not None
    assert weights.grad.equal(wanted)


def test_rounding_begins_at_its_threshold_and_not_before(watched, capfd):
    """The decay factor is 8/8 at step 4 (from 0), 4/8 at step 8."""
    plain = watched()[2]
    rounded = watched(
        QAT_ENABLED="1", LATE_QAT_THRESHOLD="0.5", INT8_KEEP_FLOAT_MAX_NUMEL="1000", MATRIX_BITS="4"
    )[2]

    assert rounded[:8] == plain[:8]
    assert all(a != b for a, b in zip(rounded[8:], plain[8:], strict=True))
    assert "late_qat:enabled step:8 scale:0.5000 matrices:12" in capfd.readouterr().out


@pytest.mark.parametrize("threshold", [{}, {"LATE_QAT_THRESHOLD": "0"}, {"LATE_QAT_THRESHOLD": "1"}])
def test_rounding_alone_begins_at_the_first_step(watched, capfd, threshold):
    """QAT_ENABLED=1 as in the public scripts, where a late threshold of 0 is none."""
    plain = watched()[2]
    rounded = watched(QAT_ENABLED="1", INT8_KEEP_FLOAT_MAX_NUMEL="1000", MATRIX_BITS="4", **threshold)[2]

    # The first step's loss is that of branches that end in zeros, whatever stands before them.
    assert all(a != b for a, b in zip(rounded[1:], plain[1:], strict=True))
    assert "late_qat:enabled step:0 scale:1.0000 matrices:12" in capfd.readouterr().out


def test_a_training_step_sees_the_loss_that_the_artifact_scores(tiny):
    """At 4 bits the loss with rounding is the loss of the model read back; in evaluation it is not."""
    import torch

    from trainer.artifact import decode, encode, load_into, pack
    from trainer.features.qat import switch_on
    from trainer.model import GPT

    c = load_config(tiny | {"MATRIX_BITS": "4", "INT8_KEEP_FLOAT_MAX_NUMEL": "1000", "FP16_EMBED": "1"})
    torch.manual_seed(0)
    model, stored = GPT(c), GPT(c)
    for weight in (w for w in model.parameters() if w.ndim == 2):
        torch.nn.init.normal_(weight, std=0.3)
    load_into(stored, decode(encode(pack(model.state_dict(), c))))
    ids = torch.randint(0, 1024, (2, 65))

    def loss(of: GPT) -> float:
        return float(of(ids[:, :-1], ids[:, 1:]).detach())

    full = loss(model)
    assert switch_on(model, c) == 12
    assert loss(model) == pytest.approx(loss(stored), abs=2e-3)
    assert abs(full - loss(stored)) > 1e-2
    model.eval()
    assert loss(model) == full


def test_rounding_that_would_round_nothing_is_refused():
    with pytest.raises(ConfigError, match="QAT_ENABLED=true changes nothing") as caught:
        load_config({"QAT_ENABLED": "1", "MODEL_DIM": "128"}).check()

    assert "INT8_KEEP_FLOAT_MAX_NUMEL" in caught.value.hint
