"""Opens the notebooks in JupyterLab in a headless Chromium, and saves what a reader sees as pictures.

For developers: it needs `jupyter-lab` (pip install jupyterlab) and `chromium` (apt install chromium), and
says which is missing. It fails where an equation is not typeset.

    python notebooks/screenshot.py [--out FOLDER] [--jupyter COMMAND] [--chromium COMMAND]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

FOLDER = Path(__file__).resolve().parent

WIDTH, HEIGHT = 1100, 9000
"""The window in pixels, so high that JupyterLab, which draws only the cells in sight, draws all of them."""

PATIENCE = 90.0
"""Seconds after which a page that is not typeset is given up."""

STATE = """(() => {
    const shown = [...document.querySelectorAll('.jp-OutputArea, .jp-RenderedMarkdown')];
    const text = shown.map(e => e.innerText).join(' ');
    return {
        cells: document.querySelectorAll('.jp-Notebook .jp-Cell').length,
        typeset: document.querySelectorAll('mjx-container, .katex').length,
        outputs: [...document.querySelectorAll('.jp-OutputArea .jp-RenderedLatex')].map(
            e => e.querySelectorAll('mjx-container, .katex').length),
        errors: document.querySelectorAll('mjx-merror, .katex-error').length,
        bottom: Math.max(0, ...[...document.querySelectorAll('.jp-Notebook .jp-Cell')].map(
            e => e.getBoundingClientRect().bottom)),
        raw: text.includes('\\\\displaystyle') || text.includes('\\\\mathbb'),
    };
})()"""
"""What the page shows of mathematics, in JavaScript."""


class Browser:
    """A page of Chromium, spoken to by its DevTools protocol."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.connection = connection
        self.count = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its result; events in between are passed over."""
        self.count += 1
        await self.connection.write_message(
            json.dumps({"id": self.count, "method": method, "params": parameters})
        )
        while True:
            message = await self.connection.read_message()
            if message is None:
                raise SystemExit("Chromium has closed the connection")
            answer = json.loads(message)
            if answer.get("id") == self.count:
                return dict(answer["result"])

    async def state(self) -> dict[str, Any]:
        """What the page shows."""
        answer = await self.call("Runtime.evaluate", expression=STATE, returnByValue=True)
        return dict(answer["result"].get("value") or {})


def found(command: str, package: str) -> str:
    """The path of a command; without it the script ends and says what to install."""
    beside = Path(sys.executable).parent / command
    path = shutil.which(command) or (str(beside) if beside.exists() else None)
    if path is None:
        sys.exit(f"`{command}` is not there: {package}")
    return path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(*command: str, log: Path) -> Iterator[None]:
    """A process that ends with the block."""
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def waited(url: str) -> Any:
    """The answer of a server that is just starting."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"no answer from {url.split('?')[0]}")
            time.sleep(0.2)


async def shoot(page: str, notebook: str, picture: Path) -> dict[str, Any]:
    """Opens a notebook, waits until its mathematics stands still, and saves what is seen."""
    browser = Browser(await websocket_connect(page, max_message_size=2**28))
    size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    await browser.call("Emulation.setDeviceMetricsOverride", **size)
    await browser.call("Page.navigate", url=notebook)
    state = await settled(browser)
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": min(HEIGHT, state["bottom"] + 20), "scale": 1}
    answer = await browser.call("Page.captureScreenshot", format="png", clip=clip)
    picture.write_bytes(base64.b64decode(answer["data"]))
    return state


async def settled(browser: Browser) -> dict[str, Any]:
    """The state of the page once there is mathematics and it has not changed for two seconds."""
    deadline, last, since = time.monotonic() + PATIENCE, {}, time.monotonic()
    while time.monotonic() < deadline:
        state = await browser.state()
        if state != last:
            last, since = state, time.monotonic()
        elif state.get("typeset") and time.monotonic() - since > 2:
            return state
        await asyncio.sleep(0.2)
    sys.exit(f"nothing was typeset within {PATIENCE:.0f} s: {last}")


def complaints(state: dict[str, Any]) -> list[str]:
    """What is wrong with a page."""
    bare = sum(not count for count in state["outputs"])
    found = [f"{state['errors']} equations have errors"] if state["errors"] else []
    found += [f"{bare} outputs are not typeset"] if bare else []
    return found + (["LaTeX source is shown"] if state["raw"] else [])


def main() -> None:
    """Takes the pictures of all notebooks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder of the pictures")
    parser.add_argument("--jupyter", default="jupyter-lab", help="the command of JupyterLab")
    parser.add_argument("--chromium", default="chromium", help="the command of Chromium")
    options = parser.parse_args()
    jupyter = found(options.jupyter, "pip install jupyterlab")
    chromium = found(options.chromium, "apt install chromium")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshot-") as name:
        wrong = take_all(jupyter, chromium, Path(name), options.out)
    if wrong:
        sys.exit("\n".join(wrong))


def take_all(jupyter: str, chromium: str, temporary: Path, out: Path) -> list[str]:
    """Starts both programs, takes the pictures, and returns what is wrong with the pages."""
    port, debugging, token = free_port(), free_port(), secrets.token_hex(16)
    # The notebooks are copied: JupyterLab may save what it opens.
    shutil.copytree(FOLDER, temporary / "notebooks")
    root = ["--allow-root", "--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else ["", ""]
    serve = [
        jupyter,
        "--no-browser",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--IdentityProvider.token={token}",
    ]
    serve += [f"--ServerApp.root_dir={temporary / 'notebooks'}", *filter(None, root[:1])]
    browse = [
        chromium,
        "--headless=new",
        f"--remote-debugging-port={debugging}",
        "--hide-scrollbars",
        "--disable-gpu",
    ]
    browse += [
        "--no-first-run",
        "--disable-dev-shm-usage",
        f"--user-data-dir={temporary / 'profile'}",
        *filter(None, root[1:]),
    ]
    wrong: list[str] = []
    with (
        running(*serve, log=temporary / "serve.log"),
        running(*browse, "about:blank", log=temporary / "browse.log"),
    ):
        waited(f"http://127.0.0.1:{port}/api/status?token={token}")
        pages = waited(f"http://127.0.0.1:{debugging}/json/list")
        page = next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
        for path in sorted(FOLDER.glob("*.ipynb")):
            picture = out / f"{path.stem}.png"
            url = f"http://127.0.0.1:{port}/doc/tree/{path.name}?token={token}"
            state = asyncio.run(shoot(page, url, picture))
            print(f"{picture}: {state['cells']} cells, {state['typeset']} formulas typeset")
            wrong += [f"{path.name}: {complaint}" for complaint in complaints(state)]
    return wrong


if __name__ == "__main__":
    main()
