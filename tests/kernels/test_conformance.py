"""Jupyter's own conformance tests, for warm kernels as for normal ones."""

import jupyter_kernel_test as jkt


class Conformance:
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_clear_output = "from IPython.display import clear_output; clear_output()"
    code_inspect_sample = "zip"
    code_execute_result = [  # noqa: RUF012
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data = [  # noqa: RUF012
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>x</b>'))",
            "mime": "text/html",
        },
        {"code": "import matplotlib.pyplot as p; p.plot([1, 2])", "mime": "image/png"},
    ]
    completion_samples = [{"text": "zi", "matches": {"zip"}}]  # noqa: RUF012
    complete_code_samples = ["1", "print('hello')", "def f(x):\n  return x*2\n\n"]  # noqa: RUF012
    incomplete_code_samples = ["print('hello", "def f(x):\n  x*2"]  # noqa: RUF012
    invalid_code_samples = ["import = 7q"]  # noqa: RUF012
    # "range" is wrong in ipykernel itself: it gives session 0 for the present one.
    supported_history_operations = ("tail", "search")
    code_history_pattern = "1?2*"


class TestWarm(Conformance, jkt.KernelTests):
    kernel_name = "warm"

    def test_kernel_is_warm(self) -> None:
        assert type(self.km.provisioner.process).__name__ == "WarmProcess"


class TestNormal(Conformance, jkt.KernelTests):
    kernel_name = "normal"


class TestWarmWelcome(jkt.IopubWelcomeTests):
    kernel_name = "warm"
    support_iopub_welcome = True
