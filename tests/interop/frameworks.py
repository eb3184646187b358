"""The bot frameworks: which there are, and how they are installed and started."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / "target" / "interop"
PYTHON = CACHE / "venv" / "bin" / "python"
NODE = CACHE / "node"

# The account of the simulated LLOneBot.
SELF_ID = 2_847_190_563



@dataclass(frozen=True)
class Kind:
    """How a bot is started, and how it and the gateway meet. Without a path, the bot connects to the gateway."""

    command: list
    # Where it takes a WebSocket connection.
    reverse_ws: str | None = None
    # Where events are posted to it; it calls by HTTP.
    webhook: str | None = None


BOTS = {
    "nonebot_forward_aiohttp": Kind(["nonebot_bot.py", "aiohttp"]),
    "nonebot_forward_websockets": Kind(["nonebot_bot.py", "websockets"]),
    "nonebot_reverse": Kind(["nonebot_bot.py", "fastapi"], reverse_ws="/onebot/v11/ws"),
    "nonebot_http": Kind(["nonebot_bot.py", "http"], webhook="/onebot/v11/http"),
    "aiocqhttp_reverse": Kind(["aiocqhttp_bot.py", "ws-reverse"], reverse_ws="/ws/"),
    "aiocqhttp_http": Kind(["aiocqhttp_bot.py", "http"], webhook="/"),
    "koishi_forward": Kind(["koishi_bot.mjs", "ws"]),
    "koishi_reverse": Kind(["koishi_bot.mjs", "ws-reverse"], reverse_ws="/onebot"),
    "napcat_forward": Kind(["napcat_bot.mjs"]),
}


def command(bot):
    """The command line that starts the bot called `bot`."""
    script, *arguments = BOTS[bot].command
    if script.endswith(".py"):
        return [PYTHON, "-B", HERE / "bots" / script, *arguments]
    return ["node", NODE / script, *arguments]


def install():
    """Installs the pinned frameworks, unless exactly these are installed already."""
    _once("python", [HERE / "requirements.txt"], _install_python)
    _once("node", [HERE / "package.json", HERE / "package-lock.json"], _install_node)
    # A module is looked for beside the file that imports it, so the bots go where the modules are.
    for script in (HERE / "bots").glob("*.mjs"):
        shutil.copy(script, NODE)


def gateway_program():
    """The program to test: $ONEBOT_GATEWAY, or a fresh build."""
    if given := os.environ.get("ONEBOT_GATEWAY"):
        return Path(given).resolve()
    subprocess.run(["cargo", "build", "--locked", "--quiet"], cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "onebot-gateway"


def _once(what, inputs, do):
    digest = hashlib.sha256(sys.version.encode())
    for path in inputs:
        digest.update(path.read_bytes())
    stamp = CACHE / f"{what}.installed"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    print(f"installing the {what} frameworks …", flush=True)
    stamp.unlink(missing_ok=True)
    do()
    stamp.write_text(digest.hexdigest())


def _install_python():
    # Debian's Python cannot put pip into an environment, but its pip can install into one.
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", CACHE / "venv"], check=True)
    pip = [sys.executable, "-m", "pip", "--python", PYTHON, "install", "--quiet"]
    subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)


def _install_node():
    NODE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, NODE)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(["npm", "ci", *options], cwd=NODE, check=True, stdout=subprocess.DEVNULL)
