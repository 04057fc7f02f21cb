"""The verb that answers agents."""

from typing import Annotated

import typer

from nearer.cli.options import HERE, Folder, UsageFault, app
from nearer.core.extras import extra
from nearer.printing.progress import ConsoleProgress


@app.command()
def mcp(
    http: Annotated[bool, typer.Option("--http", help="Over streamable HTTP, at /mcp, instead of stdio.")] = False,
    host: Annotated[str, typer.Option(help="The address to listen at, with --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 for any that is free.", min=0, max=65535)] = 8081,
    folder: Folder = HERE,
) -> None:
    """Answer agents by the Model Context Protocol: search, fetch and feedback as tools."""
    with extra("mcp", used_for="nearer mcp"):
        import fastapi  # noqa: F401
        import mcp as _  # noqa: F401
        import uvicorn  # noqa: F401
    from nearer.store.workspace import Workspace
    from nearer.web.run import serve_agents, serve_agents_at

    if not http and (host, port) != ("127.0.0.1", 8081):
        raise UsageFault("--host and --port are of --http", hint="nearer mcp --http --port 8081")
    with Workspace.open(folder) as workspace:
        if http:
            serve_agents_at(workspace, host=host, port=port, say=ConsoleProgress().say)
        else:
            serve_agents(workspace)
