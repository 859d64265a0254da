"""Wrong answers to the exercise of chapter 10, each with the message that is meant for it."""

from tests.exercises import Wrong


def penalty(body: str) -> str:
    """Write a `penalty` that returns another formula."""
    return f"def penalty(layers, l1, l2):\n    return {body}\n"


def step(slope: str, b: str = "b - learning_rate * grad_b", sign: str = "-") -> str:
    """Write a `step` with another slope, or another step of the biases."""
    return (
        "def step(W, b, grad_W, grad_b, learning_rate, l1, l2):\n"
        f"    return W {sign} learning_rate * ({slope}), {b}\n"
    )


def l1_weight(formula: str) -> str:
    """Write an `l1_weight` with another formula."""
    return f"def l1_weight(a, strength):\n    return {formula}\n"


DROPOUT = """def dropout(h, rate, training, random):
    if not training:
        return h
    keep = random.random(h.shape) >= rate
    return h * keep / (1 - rate)
"""

STOPPING = """def early_stopping(losses, patience):
    best, waited = 0, 0
    for epoch in range(1, len(losses)):
        if losses[epoch] < losses[best]:
            best, waited = epoch, 0
        else:
            waited += 1
        if waited == patience:
            return epoch + 1, best
    return len(losses), best
"""

WRONG = {
    # Task 1
    "half sum of squares": Wrong(
        "penalty",
        penalty("sum(l1 * np.abs(W).sum() + l2 * (W**2).sum() / 2 for W, b in layers)"),
        "You count like tf.nn.l2_loss",
    ),
    "no absolute value": Wrong(
        "penalty",
        penalty("sum(l1 * W.sum() + l2 * (W**2).sum() for W, b in layers)"),
        "L1 is the sum of |w|",
    ),
    "root of the squares": Wrong(
        "penalty",
        penalty("sum(l1 * np.abs(W).sum() + l2 * np.sqrt((W**2).sum()) for W, b in layers)"),
        "No square root",
    ),
    "mean of the squares": Wrong(
        "penalty",
        penalty("sum(l1 * np.abs(W).sum() + l2 * (W**2).mean() for W, b in layers)"),
        "do not take their mean",
    ),
    "biases penalised": Wrong(
        "penalty",
        penalty("sum(l1 * np.abs(w).sum() + l2 * (w**2).sum() for layer in layers for w in layer)"),
        "Your penalty contains the biases",
    ),
    "last layer only": Wrong(
        "penalty",
        penalty("l1 * np.abs(layers[-1][0]).sum() + l2 * (layers[-1][0] ** 2).sum()"),
        "You count only one layer",
    ),
    "factor 2 forgotten": Wrong(
        "step", step("grad_W + l1 * np.sign(W) + l2 * W"), "The slope of l2 * w**2 is 2 * l2 * w"
    ),
    "uphill on the penalty": Wrong(
        "step", step("grad_W - l1 * np.sign(W) - 2 * l2 * W"), "The weights grow"
    ),
    "L1 without the sign": Wrong(
        "step", step("grad_W + l1 + 2 * l2 * W"), "+1 for positive and -1 for negative"
    ),
    "L1 with the absolute value": Wrong(
        "step", step("grad_W + l1 * np.abs(W) + 2 * l2 * W"), "Its slope is the sign of w"
    ),
    "biases decay": Wrong(
        "step",
        step("grad_W + l1 * np.sign(W) + 2 * l2 * W", "b - learning_rate * (grad_b + 2 * l2 * b)"),
        "The biases pay no penalty",
    ),
    "W changed in place": Wrong(
        "step",
        "def step(W, b, grad_W, grad_b, learning_rate, l1, l2):\n"
        "    W -= learning_rate * (grad_W + l1 * np.sign(W) + 2 * l2 * W)\n"
        "    return W, b - learning_rate * grad_b\n",
        "You changed W itself",
    ),
    # Task 2
    "moves by λ": Wrong(
        "l1_weight",
        l1_weight("np.sign(a) * np.maximum(np.abs(a) - strength, 0)"),
        "it moves by λ / 2",
    ),
    "L2 instead of L1": Wrong("l1_weight", l1_weight("a / (1 + strength)"), "That is L2"),
    "jumps over zero": Wrong(
        "l1_weight",
        l1_weight("np.sign(a) * (np.abs(a) - strength / 2)"),
        "jumps over 0 to the other side",
    ),
    "small weights kept": Wrong(
        "l1_weight",
        l1_weight("np.where(np.abs(a) > strength / 2, a - np.sign(a) * strength / 2, a)"),
        "the best weight is exactly 0",
    ),
    "negative weights pushed away": Wrong(
        "l1_weight",
        l1_weight("np.where(np.abs(a) > strength / 2, a - strength / 2, 0)"),
        "Negative weights move away from 0",
    ),
    # Task 3
    "scaled in use": Wrong(
        "dropout", DROPOUT.replace("return h\n", "return h * (1 - rate)\n"), "In use, h must stay"
    ),
    "dropped in use": Wrong(
        "dropout", DROPOUT.replace("if not training", "if training is None"), "dropout does nothing"
    ),
    "survivors not scaled": Wrong(
        "dropout", DROPOUT.replace(" / (1 - rate)", ""), "The survivors are not scaled"
    ),
    "divided by the rate": Wrong(
        "dropout", DROPOUT.replace("/ (1 - rate)", "/ rate"), "Divide by the share that is kept"
    ),
    "rate taken as the share to keep": Wrong(
        "dropout", DROPOUT.replace(">= rate", "< rate"), "rate is the share to drop"
    ),
    "one mask for all samples": Wrong(
        "dropout",
        DROPOUT.replace("random.random(h.shape)", "random.random(h.shape[1])"),
        "Every sample loses the same neurons",
    ),
    "whole samples dropped": Wrong(
        "dropout",
        DROPOUT.replace("random.random(h.shape)", "random.random((len(h), 1))"),
        "all of its neurons or none",
    ),
    # Task 4
    "gives the last epoch": Wrong(
        "early_stopping",
        STOPPING.replace("return epoch + 1, best", "return epoch + 1, epoch"),
        "5 is the last epoch",
    ),
    "looks into the future": Wrong(
        "early_stopping",
        STOPPING.replace("return epoch + 1, best", "return epoch + 1, int(np.argmin(losses))"),
        "nobody knows its loss",
    ),
    "one epoch too few": Wrong(
        "early_stopping",
        STOPPING.replace("return epoch + 1, best", "return epoch, best"),
        "so 6 are run",
    ),
    "never stops": Wrong(
        "early_stopping",
        STOPPING.replace("waited == patience", "waited > len(losses)").replace(
            "return len(losses), best", "return len(losses), 3"
        ),
        "It ran to the end",
    ),
    "counter never set back": Wrong(
        "early_stopping",
        STOPPING.replace("best, waited = epoch, 0", "best = epoch"),
        "Only epochs in a row count",
    ),
    "equal counts as better": Wrong(
        "early_stopping",
        STOPPING.replace("losses[epoch] < losses[best]", "losses[epoch] <= losses[best]"),
        "Equal is not better",
    ),
}
