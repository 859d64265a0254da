"""Nothing in this folder uses or disturbs the fork servers of the person who runs the tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coursekit import kernels
from tests.kernels import support


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = kernels.unsupported()
    here = Path(__file__).parent
    for item in items:
        if reason and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"warm kernels: {reason}"))


@pytest.fixture(autouse=True, scope="package")
def folders() -> Iterator[Path]:
    """Give all tests of this folder one private runtime folder, and so one warm server."""
    with support.private_folders() as root:
        yield root


@pytest.fixture
def own_server() -> Iterator[Path]:
    """Give a test a runtime folder of its own, for servers that it may kill."""
    from coursekit.kernels.provisioner import WarmProvisioner

    WarmProvisioner._failed_at = None
    with support.private_folders() as root:
        yield root
    WarmProvisioner._failed_at = None


@pytest.fixture
def open_kernel() -> Iterator[Callable[..., support.Notebook]]:
    """Open kernels that are closed at the end of the test."""
    opened: list[support.Notebook] = []

    def start(kind: str, **options: object) -> support.Notebook:
        opened.append(support.Notebook(kind, **options))
        return opened[-1]

    yield start
    for notebook in opened:
        notebook.close(now=True)


@pytest.fixture(params=["warm", "normal"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run a test with both kinds of kernel: what holds for one has to hold for the other."""
    return request.param
