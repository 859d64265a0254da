"""Wrong answers to the exercise on loss functions."""

from tests.exercises import Wrong

CHECK = (
    "    if y_true.shape != y_pred.shape:\n"
    "        raise ValueError('the shapes differ')\n"
    "    error = y_pred - y_true\n"
)


def money_lost(formula: str, check: str = CHECK) -> str:
    """Write a `money_lost` with another formula."""
    return (
        "def money_lost(y_true, y_pred, cost, profit):\n"
        "    y_true, y_pred = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)\n"
        f"{check}"
        f"    return {formula}\n"
    )


PRICED = "np.sum(np.where(error > 0, cost * error, -profit * error))"


def best_forecast(formula: str) -> str:
    """Write a `best_forecast` with another formula."""
    return f"def best_forecast(sales, cost, profit):\n    return {formula}\n"


def cross_entropy(formula: str) -> str:
    """Write a `cross_entropy` with another formula; `p` is clipped already."""
    return (
        "def cross_entropy(y_true, y_pred):\n"
        "    y_true, y_pred = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)\n"
        "    p = np.clip(y_pred, 1e-12, 1)\n"
        f"    return {formula}\n"
    )


def loss_from_scores(body: str) -> str:
    """Complete a wrong `loss_from_scores`."""
    return (
        "def loss_from_scores(labels, logits):\n"
        "    labels, logits = np.asarray(labels), np.asarray(logits, dtype=float)\n"
        "    rows = np.arange(len(labels))\n"
        f"{body}"
    )


SOFTMAX = (
    "    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))\n"
    "    p = shifted / shifted.sum(axis=1, keepdims=True)\n"
)


def pulls(cross_entropy: str, squared_error: str) -> str:
    """Write a `pulls` with other formulas."""
    return (
        "def pulls(z):\n"
        "    p = 1 / (1 + np.exp(-z))\n"
        f"    return {cross_entropy}, {squared_error}\n"
    )


def stuck_at(formula: str) -> str:
    """Write a `stuck_at` with another formula."""
    return f"def stuck_at(classes):\n    return {formula}\n"


WRONG = {
    # Task 1
    "prices swapped": Wrong(
        "money_lost",
        money_lost("np.sum(np.where(error > 0, profit * error, -cost * error))"),
        "you took the other price",
    ),
    "negative money": Wrong(
        "money_lost",
        money_lost("np.sum(np.where(error > 0, cost * error, profit * error))"),
        "Lost money is never negative",
    ),
    "squared errors": Wrong(
        "money_lost",
        money_lost("np.sum(np.where(error > 0, cost, profit) * error**2)"),
        "you squared the error",
    ),
    "mean instead of the sum": Wrong(
        "money_lost", money_lost(PRICED.replace("np.sum", "np.mean")), "The bakery wants the total"
    ),
    "one number for each day": Wrong(
        "money_lost", money_lost(PRICED.removeprefix("np.sum")), "Return one number, the sum"
    ),
    "shapes are stretched": Wrong(
        "money_lost",
        money_lost(PRICED, check="    error = y_pred - y_true\n"),
        "Compare the two shapes first",
    ),
    # Task 2
    "mean": Wrong("best_forecast", best_forecast("np.mean(sales)"), "That is the mean"),
    "median whatever the prices": Wrong(
        "best_forecast",
        best_forecast("np.quantile(sales, 0.5, method='inverted_cdf')"),
        "of the days lie below your forecast",
    ),
    "share swapped": Wrong(
        "best_forecast",
        best_forecast("np.quantile(sales, cost / (cost + profit), method='inverted_cdf')"),
        "your share is cost / (cost + profit)",
    ),
    "between two days": Wrong(
        "best_forecast",
        best_forecast("np.quantile(sales, profit / (cost + profit))"),
        "You interpolate between two days",
    ),
    "one day too late": Wrong(
        "best_forecast",
        best_forecast(
            "np.sort(sales)[min(int(profit / (cost + profit) * len(sales)) + 1, len(sales) - 1)]"
        ),
        "as many days must lie above as below",
    ),
    # Task 3
    "no minus sign": Wrong(
        "cross_entropy",
        cross_entropy("np.mean(np.sum(y_true * np.log(p), axis=1))"),
        "the minus sign is missing",
    ),
    "log10": Wrong(
        "cross_entropy",
        cross_entropy("-np.mean(np.sum(y_true * np.log10(p), axis=1))"),
        "that is log10",
    ),
    "mean over all elements": Wrong(
        "cross_entropy",
        cross_entropy("-np.mean(y_true * np.log(p))"),
        "also divides by the number of classes",
    ),
    "sum over the samples": Wrong(
        "cross_entropy",
        cross_entropy("-np.sum(y_true * np.log(p))"),
        "You return the sum over the samples",
    ),
    "logarithm of the truth": Wrong(
        "cross_entropy",
        cross_entropy("-np.mean(np.sum(p * np.log(np.clip(y_true, 1e-12, 1)), axis=1))"),
        "Did you take the logarithm of the truth?",
    ),
    "only the likeliest class counts": Wrong(
        "cross_entropy",
        cross_entropy("-np.mean(np.log(p[np.arange(len(p)), y_true.argmax(axis=1)]))"),
        "Every class counts",
    ),
    "no clipping": Wrong(
        "cross_entropy",
        cross_entropy("-np.mean(np.sum(y_true * np.log(y_pred), axis=1))"),
        "Lift it to 1e-12 before the logarithm",
    ),
    "Keras's limit": Wrong(
        "cross_entropy",
        cross_entropy("-np.mean(np.sum(y_true * np.log(np.clip(y_pred, 1e-7, 1)), axis=1))"),
        "Here the limit is 1e-12",
    ),
    # Task 4
    "still one sum for the batch": Wrong(
        "loss_from_scores",
        loss_from_scores(
            "    m = logits.max()\n"
            "    return np.mean(m + np.log(np.sum(np.exp(logits - m))) - logits[rows, labels])\n"
        ),
        "Each sample has its own sum",
    ),
    "still whole columns": Wrong(
        "loss_from_scores",
        loss_from_scores(
            "    log_sum = np.logaddexp.reduce(logits, axis=1, keepdims=True)\n"
            "    return np.mean(log_sum - logits[:, labels])\n"
        ),
        "takes whole columns",
    ),
    "still overflows": Wrong(
        "loss_from_scores",
        loss_from_scores(
            "    log_sum = np.log(np.sum(np.exp(logits), axis=1))\n"
            "    return np.mean(log_sum - logits[rows, labels])\n"
        ),
        "e^1000 is too large",
    ),
    "largest score of the whole batch": Wrong(
        "loss_from_scores",
        loss_from_scores(
            "    p = np.exp(logits - logits.max())\n"
            "    p = p / p.sum(axis=1, keepdims=True)\n"
            "    return -np.mean(np.log(p[rows, labels]))\n"
        ),
        "Subtract the largest score of EACH sample",
    ),
    "logarithm of a probability": Wrong(
        "loss_from_scores",
        loss_from_scores(SOFTMAX + "    return -np.mean(np.log(p[rows, labels]))\n"),
        "a probability was rounded to 0",
    ),
    "clipped": Wrong(
        "loss_from_scores",
        loss_from_scores(
            SOFTMAX + "    return -np.mean(np.log(np.clip(p[rows, labels], 1e-12, 1)))\n"
        ),
        "Clipping hides how wrong an answer is",
    ),
    "softmax twice": Wrong(
        "loss_from_scores",
        loss_from_scores(
            SOFTMAX + "    log_sum = np.logaddexp.reduce(p, axis=1)\n"
            "    return np.mean(log_sum - p[rows, labels])\n"
        ),
        "You apply softmax twice",
    ),
    # Task 5
    "derivatives instead of pulls": Wrong(
        "pulls", pulls("p - 1", "-2 * p * (1 - p) ** 2"), "must be pulled UP"
    ),
    "cross entropy with respect to p": Wrong(
        "pulls", pulls("1 / p", "2 * p * (1 - p) ** 2"), "1/p is the derivative with respect to p"
    ),
    "squared error with respect to p": Wrong(
        "pulls", pulls("1 - p", "2 * (1 - p)"), "The sigmoid is between p and z"
    ),
    "the 2 of the square is lost": Wrong(
        "pulls", pulls("1 - p", "p * (1 - p) ** 2"), "The square brings a 2"
    ),
    "prediction minus truth for both": Wrong(
        "pulls", pulls("1 - p", "1 - p"), "the squared error pulls with"
    ),
    "the floor is 0": Wrong("stuck_at", stuck_at("0.0"), "0 would be right with one softmax"),
    "the loss of guessing": Wrong(
        "stuck_at", stuck_at("np.log(classes)"), "ln 3 is the loss of guessing"
    ),
    "the wrong classes get the 1": Wrong(
        "stuck_at",
        stuck_at("np.log(1 + (classes - 1) * np.e)"),
        "The right class has the 1",
    ),
    "three classes for ever": Wrong(
        "stuck_at", stuck_at("np.log(1 + 2 / np.e)"), "the other 1 are 0"
    ),
}
