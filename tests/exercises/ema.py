"""Wrong answers to the exercise of chapter 06, each with the message that is meant for it."""

from tests.exercises import Wrong


def moving_average(step: str, start: str = "0.0", result: str = "np.array(averages)") -> str:
    """Write a `moving_average` with another step, start or result."""
    return (
        "def moving_average(values, beta):\n"
        f"    s, averages = {start}, []\n"
        "    for v in values:\n"
        f"        s = {step}\n"
        "        averages.append(s)\n"
        f"    return {result}\n"
    )


RIGHT_STEP = "beta * s + (1 - beta) * v"


def corrected_average(body: str) -> str:
    """Complete a wrong `corrected_average`."""
    return (
        "def corrected_average(values, beta):\n"
        "    raw = moving_average(values, beta)\n"
        "    t = np.arange(1, len(values) + 1)\n"
        f"{body}"
    )


def one_liner(head: str, formula: str) -> str:
    """Write a function that returns `formula`."""
    return f"def {head}:\n    return {formula}\n"


def faded_after(condition: str, start: int = 0, result: str = "age") -> str:
    """Write a `faded_after` that counts while `condition` holds."""
    return (
        "def faded_after(beta, share):\n"
        f"    age = {start}\n"
        f"    while {condition}:\n"
        "        age = age + 1\n"
        f"    return {result}\n"
    )


def shadows(
    d: str = "min(decay, (1 + n) / (10 + n))",
    update: str = "d * shadow + (1 - d) * w",
    first: str = "",
    start: str = "start, []",
) -> str:
    """Write a `shadows` with other parts."""
    return (
        "def shadows(weights, decay, start):\n"
        f"    shadow, result = {start}\n"
        f"    for n, w in enumerate(weights{first}):\n"
        f"        d = {d}\n"
        f"        shadow = {update}\n"
        "        result.append(shadow)\n"
        "    return result\n"
    )


WRONG = {
    # Task 1
    "beta on the new value": Wrong(
        "moving_average",
        moving_average("(1 - beta) * s + beta * v"),
        "You swapped the parts",
    ),
    "starts at the first value": Wrong(
        "moving_average",
        moving_average(RIGHT_STEP, start="values[0]"),
        "You start at the first value",
    ),
    "only the last average": Wrong(
        "moving_average",
        moving_average(RIGHT_STEP, result="s"),
        "not only the last one",
    ),
    "S_0 among the averages": Wrong(
        "moving_average",
        moving_average(RIGHT_STEP, result="np.array([0.0, *averages])"),
        "S_0 = 0 is not one of them",
    ),
    "forgets the old average": Wrong(
        "moving_average",
        moving_average("(1 - beta) * v"),
        "Does each step start from the average of the step before?",
    ),
    "t from 0": Wrong(
        "corrected_average",
        corrected_average("    return raw[1:] / (1 - beta ** (t[1:] - 1))\n"),
        "Eight values must give eight corrected averages",
    ),
    "t from 0, infinite": Wrong(
        "corrected_average",
        corrected_average(
            "    with np.errstate(all='ignore'):\n        return raw / (1 - beta ** (t - 1))\n"
        ),
        "where t starts at 1",
    ),
    "no correction": Wrong(
        "corrected_average",
        corrected_average("    return raw\n"),
        "The first average is not corrected",
    ),
    "one t for all": Wrong(
        "corrected_average",
        corrected_average("    return raw / (1 - beta ** len(values))\n"),
        "What does the exponent t count?",
    ),
    "divided by 1 - beta": Wrong(
        "corrected_average",
        corrected_average("    return raw / (1 - beta)\n"),
        "What does the exponent t count?",
    ),
    "corrected value goes back in": Wrong(
        "corrected_average",
        corrected_average(
            "    s, result = 0.0, []\n"
            "    for k, v in enumerate(values, 1):\n"
            "        s = (beta * s + (1 - beta) * v) / (1 - beta**k)\n"
            "        result.append(s)\n"
            "    return np.array(result)\n"
        ),
        "Keep S raw",
    ),
    # Task 2
    "1 - beta": Wrong(
        "beta_for_window", one_liner("beta_for_window(window)", "1 / window"), "That is 1 - beta"
    ),
    "exact power": Wrong(
        "beta_for_window",
        one_liner("beta_for_window(window)", "np.exp(-1 / window)"),
        "That is the exact power",
    ),
    "window minus 1": Wrong(
        "beta_for_window",
        one_liner("beta_for_window(window)", "1 - 1 / (window + 1)"),
        "Solve window = 1 / (1 - beta)",
    ),
    "one too small": Wrong(
        "faded_after",
        faded_after("beta ** (age + 1) >= share"),
        "is one too small",
    ),
    "newest has age 1": Wrong(
        "faded_after",
        faded_after("beta ** (age - 1) >= share", start=1),
        "The newest sample has the age 0",
    ),
    "not relative to the newest": Wrong(
        "faded_after",
        faded_after("(1 - beta) * beta**age >= share"),
        "Compare with the newest sample",
    ),
    "equal is enough": Wrong(
        "faded_after", faded_after("beta**age > share"), "'Less than' comes one step later"
    ),
    # Task 3
    "max still there": Wrong(
        "shadows", shadows(d="max(decay, (1 + n) / (10 + n))"), "needs the SMALLER"
    ),
    "no ramp": Wrong("shadows", shadows(d="decay"), "needs the SMALLER"),
    "parts still swapped": Wrong(
        "shadows", shadows(update="d * w + (1 - d) * shadow"), "the other way round"
    ),
    "still counts from 1": Wrong("shadows", shadows(first=", 1"), "counted from n = 0"),
    "ramp without the decay": Wrong("shadows", shadows(d="(1 + n) / (10 + n)"), "Look at d there"),
    "returns the start as well": Wrong(
        "shadows", shadows(start="start, [start]"), "The start is not returned"
    ),
    "overwrites the weights": Wrong(
        "shadows",
        shadows(update="weights[n] = d * shadow + (1 - d) * w"),
        "never touches the parameter",
    ),
    # Task 4
    "window instead of mean age": Wrong(
        "error_from_lag",
        one_liner("error_from_lag(beta, slope)", "slope / (1 - beta)"),
        "The mean age is one step less",
    ),
    "average minus truth": Wrong(
        "error_from_lag",
        one_liner("error_from_lag(beta, slope)", "-slope * beta / (1 - beta)"),
        "Wrong sign",
    ),
    "lag in steps": Wrong(
        "error_from_lag",
        one_liner("error_from_lag(beta, slope)", "beta / (1 - beta)"),
        "This is the lag in steps",
    ),
    "variance": Wrong(
        "noise_left",
        one_liner("noise_left(beta, sigma)", "sigma**2 * (1 - beta) / (1 + beta)"),
        "This is the variance",
    ),
    "variance's part": Wrong(
        "noise_left",
        one_liner("noise_left(beta, sigma)", "sigma * (1 - beta) / (1 + beta)"),
        "This is the part of the variance",
    ),
    "sum of the weights": Wrong(
        "noise_left", one_liner("noise_left(beta, sigma)", "sigma"), "Square them before you add"
    ),
    "powers not squared": Wrong(
        "noise_left",
        one_liner("noise_left(beta, sigma)", "sigma * np.sqrt(1 - beta)"),
        "makes q = beta**2",
    ),
}
