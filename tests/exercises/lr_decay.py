"""Wrong answers to the exercise of chapter 05, each with the message that is meant for it."""

from tests.exercises import Wrong


def exponential(formula: str, exponent: str = "np.floor(np.asarray(step) / period)") -> str:
    """Write an `exponential_decay` with another formula, or other stairs."""
    return (
        "def exponential_decay(step, base, rate, period, staircase=False):\n"
        "    exponent = np.asarray(step) / period\n"
        "    if staircase:\n"
        f"        exponent = {exponent}\n"
        f"    return {formula}\n"
    )


def steps(formula: str) -> str:
    """Write a `decay_steps` with another formula."""
    return f"def decay_steps(samples, batch_size, epochs=1):\n    return {formula}\n"


def factor(formula: str) -> str:
    """Write a `decay_rate` with another formula."""
    return f"def decay_rate(first, last, total_steps, period):\n    return {formula}\n"


ALL_RATES = """def all_rates(samples, batch_size, epochs, base, rate, period):
    rates = []
    step = 0
    for _ in range(epochs):
        for _ in range(int(np.ceil(samples / batch_size))):
            rates.append(base * rate ** (step // period))
            step = step + 1
    return rates
"""


def restarts(formula: str) -> str:
    """Write a `warm_restarts` with another formula."""
    return f"def warm_restarts(step, base, period):\n    return {formula}\n"


def budget(formula: str) -> str:
    """Write a `rate_for_budget` with another formula."""
    return f"def rate_for_budget(base, budget):\n    return {formula}\n"


RIGHT = "base * rate**exponent"

WRONG = {
    # Task 1
    "exponent lost": Wrong(
        "exponential_decay", exponential("base * rate * exponent"), "It is an exponent"
    ),
    "period forgotten": Wrong(
        "exponential_decay", exponential("base * rate**step"), "The period is missing"
    ),
    "always a staircase": Wrong(
        "exponential_decay",
        exponential("base * rate**np.floor(exponent)"),
        "This is the staircase, though staircase is False",
    ),
    "never a staircase": Wrong(
        "exponential_decay", exponential(RIGHT, "exponent"), "your curve has no stairs"
    ),
    "stairs rounded up": Wrong(
        "exponential_decay",
        exponential(RIGHT, "np.ceil(exponent)"),
        "one stair too low. Round down",
    ),
    "stairs one step early": Wrong(
        "exponential_decay",
        exponential(RIGHT, "np.floor((np.asarray(step) + 1) / period)"),
        "because we count from 0",
    ),
    "stairs one step late": Wrong(
        "exponential_decay",
        exponential(RIGHT, "np.floor(np.maximum(np.asarray(step) - 1, 0) / period)"),
        "the drop comes at step",
    ),
    "one step only": Wrong(
        "exponential_decay",
        exponential("float(base * rate**exponent)").replace("np.asarray(step)", "step"),
        "only 0-dimensional arrays can be converted",
    ),
    "first step of many": Wrong(
        "exponential_decay",
        exponential("np.ravel(base * rate**exponent)[0]"),
        "must give an array of 30 rates",
    ),
    # Task 2
    "last batch lost": Wrong(
        "decay_steps", steps("epochs * (samples // batch_size)"), "you lose the last, smaller batch"
    ),
    "epochs forgotten": Wrong(
        "decay_steps", steps("int(np.ceil(samples / batch_size))"), "the steps of one epoch"
    ),
    "rounded up once": Wrong(
        "decay_steps",
        steps("int(np.ceil(epochs * samples / batch_size))"),
        "round up in every epoch, then multiply",
    ),
    "not a whole number": Wrong(
        "decay_steps",
        steps("epochs * float(np.ceil(samples / batch_size))"),
        "A number of steps is whole",
    ),
    "factor for one step": Wrong(
        "decay_rate", factor("(last / first) ** (1 / total_steps)"), "the factor for one step"
    ),
    "factor for the whole training": Wrong(
        "decay_rate", factor("last / first"), "the factor for the whole training"
    ),
    "exponent upside down": Wrong(
        "decay_rate", factor("(last / first) ** (total_steps / period)"), "take the root"
    ),
    "grows": Wrong(
        "decay_rate", factor("(first / last) ** (period / total_steps)"), "never decays"
    ),
    # Task 3
    "counter still starts again": Wrong(
        "all_rates",
        ALL_RATES.replace("    step = 0\n", "").replace(
            "    for _ in range(epochs):\n", "    for _ in range(epochs):\n        step = 0\n"
        ),
        "the counter starts again",
    ),
    "still without the last batch": Wrong(
        "all_rates",
        ALL_RATES.replace("int(np.ceil(samples / batch_size))", "samples // batch_size"),
        "The last, smaller batch of an epoch is a step, too",
    ),
    "still counts before the step": Wrong(
        "all_rates", ALL_RATES.replace("step = 0", "step = 1"), "Count after the step, not before"
    ),
    "one rate per epoch": Wrong(
        "all_rates",
        ALL_RATES.replace("            step = step + 1\n", "        step = step + 1\n"),
        "the base rate must hold for",
    ),
    # Task 4
    "cosine without the 1": Wrong(
        "warm_restarts",
        restarts("base * np.cos(np.pi * (step % period) / period)"),
        "Some of your rates are negative",
    ),
    "not divided by 2": Wrong(
        "warm_restarts",
        restarts("base * (1 + np.cos(np.pi * (step % period) / period))"),
        "twice as high as it should be",
    ),
    "a whole wave": Wrong(
        "warm_restarts",
        restarts("base * (1 + np.cos(2 * np.pi * (step % period) / period)) / 2"),
        "half a wave",
    ),
    "swings": Wrong(
        "warm_restarts",
        restarts("base * (1 + np.cos(np.pi * step / period)) / 2"),
        "A restart jumps",
    ),
    "ends at 0": Wrong(
        "warm_restarts",
        restarts("base * (1 + np.cos(np.pi * min(step / period, 1))) / 2"),
        "Restart it",
    ),
    # Task 5
    "1 - r": Wrong("rate_for_budget", budget("base / budget"), "base / budget is 1 − r"),
    "first step left out": Wrong(
        "rate_for_budget", budget("budget / (budget + base)"), "You left out the first step"
    ),
    "fraction upside down": Wrong(
        "rate_for_budget", budget("1 - budget / base"), "a factor between 0 and 1"
    ),
}
