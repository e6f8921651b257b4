"""Puts the page into the application."""

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.routing import Mount

from cobrarec.serving.page.desk import Desk
from cobrarec.serving.page.fence import Fence
from cobrarec.serving.page.known_users import KnownUsers
from cobrarec.serving.page.look import HEAD, theme

PATH = "/ui"


def mount_page(app: FastAPI, interactions: Path | None = None) -> None:
    """Mount the page of an application made by `create_app`, behind its gate.

    Args:
        app: the application.
        interactions: table of the users whose histories the page can take.

    Raises:
        DataError: the table cannot be read.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    from cobrarec.serving.page.tabs import PageTabs

    service = app.state.service
    users = None if interactions is None else KnownUsers.read(interactions, service.recommender.catalog)
    blocks = PageTabs(Desk(service, users, app.state.meters)).blocks
    gr.mount_gradio_app(
        app,
        blocks,
        PATH,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        theme=theme(),
        head=HEAD,
    )
    app.state.home = f"{PATH.removeprefix('/')}/"
    mounted = app.router.routes[-1]
    assert isinstance(mounted, Mount)
    mounted.app = Fence(mounted.app)
