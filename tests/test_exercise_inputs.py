import pytest

from coursekit.exercises import rng


def test_the_same_inputs_every_time(monkeypatch):
    monkeypatch.delenv("COURSEKIT_SEED", raising=False)
    first = rng().random(5)
    assert (first == rng().random(5)).all()
    monkeypatch.setenv("COURSEKIT_SEED", "0")
    assert (first == rng().random(5)).all()


def test_the_instructor_chooses_other_inputs(monkeypatch):
    monkeypatch.setenv("COURSEKIT_SEED", "0")
    first = rng().random(5)
    monkeypatch.setenv("COURSEKIT_SEED", "7")
    assert (first != rng().random(5)).all()


@pytest.mark.parametrize("text", ["seven", "-1", "1.5", "²"])
def test_bad_seed(monkeypatch, text):
    monkeypatch.setenv("COURSEKIT_SEED", text)
    with pytest.raises(ValueError, match="Set COURSEKIT_SEED to a whole number"):
        rng()
