"""How JupyterLab reads the course's notebooks from disk.

A lab's output holds the live panel and, for places where it cannot run, a picture. JupyterLab
always prefers the panel, and shows "Error displaying widget" when its kernel is gone: after a
restart of the computer, say. Read without that kernel, the notebook shows the picture.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

PANEL = "application/vnd.jupyter.widget-view+json"


class CourseContents(AsyncLargeFileManager):
    """Jupyter's own file manager, which leaves out panels whose kernel is not running."""

    async def get(self, path: str, *args: Any, **options: Any) -> dict[str, Any]:
        """Read a file or folder; see Jupyter's `ContentsManager.get`."""
        model: dict[str, Any] = await super().get(path, *args, **options)
        if model["type"] == "notebook" and model["content"] and not await self._runs(path):
            drop_panels(model["content"])
        return model

    async def _runs(self, path: str) -> bool:
        server: Any = self.parent
        sessions = await server.session_manager.list_sessions()
        return any(session["path"] == path.strip("/") for session in sessions)


def drop_panels(notebook: dict[str, Any]) -> None:
    """Remove the live panel from every output that also has a picture, in place."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                data.pop(PANEL, None)
