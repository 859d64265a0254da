"""Wrong answers to the exercise of chapter 04, each with the message that is meant for it."""

from tests.exercises import Wrong


def descend(body: str) -> str:
    """Complete a wrong `descend`."""
    return f"def descend(learning_rate, start, steps, curvature, minimum):\n{body}"


def loop(slope: str, update: str) -> str:
    """Write a `descend` with another slope or update."""
    return descend(
        "    w = [start]\n"
        "    for _ in range(steps):\n"
        f"        slope = {slope}\n"
        f"        w.append({update})\n"
        "    return np.array(w)\n"
    )


REGIME = """def regime(learning_rate, curvature):
    factor = 1 - learning_rate * curvature
    if factor > 0:
        return "one side"
    if factor == 0:
        return "one step"
    if factor > -1:
        return "overshoots"
    return "oscillates" if factor == -1 else "diverges"
"""


def limit(formula: str) -> str:
    """Write a `largest_stable_rate` with another formula."""
    return f"def largest_stable_rate(curvatures):\n    return {formula}\n"


def fit_line(in_loop: str, steps: str = "steps", before: str = "pass") -> str:
    """Write a `fit_line` with another loop."""
    return (
        "def fit_line(x, y, learning_rate, steps):\n"
        "    w, b = 0.0, 0.0\n"
        f"    {before}\n"
        f"    for _ in range({steps}):\n"
        f"{in_loop}"
        "    return w, b\n"
    )


ERROR = "        error = w * x + b - y\n"
STEP_W = "        w = w - learning_rate * np.mean(2 * error * x)\n"
STEP_B = "        b = b - learning_rate * np.mean(2 * error)\n"


def steps_until(body: str) -> str:
    """Complete a wrong `steps_until`; distance and factor are right."""
    return (
        "def steps_until(start, minimum, curvature, learning_rate, tolerance):\n"
        "    distance = abs(start - minimum)\n"
        "    factor = abs(1 - learning_rate * curvature)\n"
        f"{body}"
    )


SPECIAL = (
    "    if distance < tolerance:\n"
    "        return 0\n"
    "    if factor == 0:\n"
    "        return 1\n"
    "    if factor >= 1:\n"
    "        return None\n"
)
COUNT = "    return int(np.log(tolerance / distance) / np.log(factor)) + 1\n"


def pick(body: str) -> str:
    """Complete a wrong `pick_learning_rate`."""
    return (
        "def pick_learning_rate(rates, losses):\n"
        "    rates, losses = np.asarray(rates), np.asarray(losses)\n"
        f"{body}"
    )


LOWEST = "    lowest = np.nanargmin(losses)\n"
EXPLODED = (
    "    after = losses[lowest:]\n"
    "    exploded = ~np.isfinite(after) | (after > 2 * losses[lowest])\n"
)

WRONG = {
    # Task 1
    "walks uphill": Wrong(
        "descend",
        loop("curvature * (w[-1] - minimum)", "w[-1] + learning_rate * slope"),
        "Subtract: w - learning_rate * slope",
    ),
    "no learning rate": Wrong(
        "descend", loop("curvature * (w[-1] - minimum)", "w[-1] - slope"), "full slope as a step"
    ),
    "slope of the lecture's loss": Wrong(
        "descend",
        loop("2 * (w[-1] - minimum)", "w[-1] - learning_rate * slope"),
        "Your slope is that of the lecture",
    ),
    "slope of the start in every step": Wrong(
        "descend",
        loop("curvature * (start - minimum)", "w[-1] - learning_rate * slope"),
        "Compute the slope inside the loop",
    ),
    "path without the start": Wrong(
        "descend",
        descend(
            "    w, path = start, []\n"
            "    for _ in range(steps):\n"
            "        w = w - learning_rate * curvature * (w - minimum)\n"
            "        path.append(w)\n"
            "    return np.array(path)\n"
        ),
        "the start counts, too",
    ),
    "only the last weight": Wrong(
        "descend",
        descend(
            "    w = start\n"
            "    for _ in range(steps):\n"
            "        w = w - learning_rate * curvature * (w - minimum)\n"
            "    return w\n"
        ),
        "not only the last one",
    ),
    # Task 2
    "one-step rate as the limit": Wrong(
        "largest_stable_rate", limit("1 / max(curvatures)"), "the rate that arrives in one step"
    ),
    "limit upside down": Wrong("largest_stable_rate", limit("max(curvatures) / 2"), "Upside down"),
    "flattest direction": Wrong(
        "largest_stable_rate", limit("2 / min(curvatures)"), "the steepest explodes first"
    ),
    "mean curvature": Wrong(
        "largest_stable_rate",
        limit("2 * len(curvatures) / sum(curvatures)"),
        "do not add up or average out",
    ),
    "overshooting called oscillating": Wrong(
        "regime",
        REGIME.replace('"overshoots"', '"oscillates"'),
        "Only the factor -1 swings for ever",
    ),
    "borders of curvature 2": Wrong(
        "regime",
        REGIME.replace("1 - learning_rate * curvature", "1 - 2 * learning_rate"),
        "belong to curvature 2 only",
    ),
    "factor 0 called overshooting": Wrong(
        "regime", REGIME.replace("factor == 0", "factor == 7"), "so one step is enough"
    ),
    "factor -1 called diverging": Wrong(
        "regime", REGIME.replace("factor == -1", "factor == 7"), "neither grows nor shrinks"
    ),
    # Task 3
    "b still uphill": Wrong(
        "fit_line", fit_line(ERROR + STEP_W + STEP_B.replace("b -", "b +")), "b walks uphill"
    ),
    "error still before the loop": Wrong(
        "fit_line",
        fit_line(STEP_W + STEP_B, before="error = w * x + b - y"),
        "compute it inside the loop",
    ),
    "still one step too few": Wrong(
        "fit_line",
        fit_line(ERROR + STEP_W + STEP_B, steps="1, steps"),
        "How often does the loop run when steps is 1?",
    ),
    "b uses the new w": Wrong(
        "fit_line", fit_line(ERROR + STEP_W + ERROR + STEP_B), "b already uses the new w"
    ),
    # Task 4
    "rounded down": Wrong(
        "steps_until", steps_until(SPECIAL + COUNT.replace(" + 1", "")), "one too few"
    ),
    "counts with the loss": Wrong(
        "steps_until",
        steps_until(SPECIAL + COUNT.replace("np.log(factor)", "np.log(factor**2)")),
        "The loss shrinks by factor**2",
    ),
    "forgets the distance": Wrong(
        "steps_until",
        steps_until(SPECIAL + COUNT.replace("tolerance / distance", "tolerance")),
        "Did you use the distance at the start?",
    ),
    "overshooting never arrives": Wrong(
        "steps_until",
        steps_until(SPECIAL.replace("factor >= 1", "learning_rate * curvature > 1") + COUNT),
        "converges, on whichever side",
    ),
    "oscillating arrives at once": Wrong(
        "steps_until",
        steps_until(SPECIAL.replace("return None", "return 0") + COUNT),
        "the distance never gets smaller",
    ),
    "diverging looked at first": Wrong(
        "steps_until",
        steps_until("    if factor >= 1:\n        return None\n" + SPECIAL + COUNT),
        "Look at the start first",
    ),
    # Task 5
    "the lowest loss": Wrong(
        "pick_learning_rate",
        pick("    return rates[np.nanargmin(losses)]\n"),
        "at the edge. The rule starts from the explosion",
    ),
    "the explosion itself": Wrong(
        "pick_learning_rate",
        pick(LOWEST + EXPLODED + "    return rates[lowest:][np.argmax(exploded)]\n"),
        "Stay away from it",
    ),
    "the high loss of the beginning": Wrong(
        "pick_learning_rate",
        pick("    return rates[np.argmax(losses > 2 * np.nanmin(losses))] / 10\n"),
        "Look only after the lowest loss",
    ),
    "nan is no explosion": Wrong(
        "pick_learning_rate",
        pick(
            LOWEST
            + EXPLODED.replace("~np.isfinite(after) | ", "")
            + "    if not exploded.any():\n        return None\n"
            + "    return rates[lowest:][np.argmax(exploded)] / 10\n"
        ),
        "comparisons with nan are false",
    ),
    "nan is the lowest loss": Wrong(
        "pick_learning_rate",
        pick(
            LOWEST.replace("nanargmin", "argmin")
            + EXPLODED
            + "    return rates[lowest:][np.argmax(exploded)] / 10\n"
        ),
        "This loss never explodes",
    ),
    "never None": Wrong(
        "pick_learning_rate",
        pick(LOWEST + EXPLODED + "    return rates[lowest:][np.argmax(exploded)] / 10\n"),
        "This loss never explodes",
    ),
}
