"""The processes of one run: a simulated LLOneBot, the gateway, and the bots."""

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import urllib.request

import frameworks

LOGS = frameworks.CACHE / "logs"
LLONEBOT_TOKEN = "token-of-llonebot"
EVENTS_PER_SECOND = 20
ESTABLISHED = "01"

# Rules that let through what these bots do, so that every call and event meets one; the limits are met as well.
RULES = [
    'role.bots.actions = { allow = ["@read", "@send", "delete_msg"], where = { delete_msg = { message_id = { "$exists" = true } } } }',
    'limit.account = { rate = "600/1m", burst = 5, ramp = "1s" }',
    'limit.asking = { actions = ["@read"], per = "consumer", rate = "500/1s", burst = 100, ramp = "0s" }',
    'cache.ttl = { get_group_info = "30s", get_friend_list = "30s" }',
]
EVENT_RULES = '{ post_types = ["message", "notice", "request"], except_groups = [1], filter = { self_id = { "$gt" = 0 } } }'

# Nothing of the caller's that could configure the gateway, a framework or a proxy.
BARE_ENVIRONMENT = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}

# Set whenever a process says something; whoever waits looks again.
_news = asyncio.Event()


async def until(condition, otherwise, seconds=30):
    """Waits until `condition` holds, looking whenever a process says something; fails with `otherwise`."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                _news.clear()
                await _news.wait()
    except TimeoutError:
        raise TimeoutError(f"{otherwise} (waited {seconds} s)") from None


class Scene:
    """Starts the processes, and ends every one of them when it is left, however that comes about."""

    def __init__(self, program):
        self._program = program
        self._llonebot_port, self._gateway_port, self._admin_port, *ports = free_ports(3 + len(frameworks.BOTS))
        self.llonebot = Process("llonebot")
        self.gateway = Process("gateway")
        self.bots = [Bot(name, number, port) for number, name, port in zip(itertools.count(1), frameworks.BOTS, ports)]

    async def start(self):
        """Starts everything; LLOneBot first, so that the bots find the account online."""
        await self.start_llonebot()
        config = LOGS / "gateway.toml"
        config.write_text(self._config())
        await self.gateway.start([self._program, "run", "--config", config])
        await self._until_counted(r"onebot_gateway_link_up\{.*\} 1", "the gateway did not reach LLOneBot")
        await asyncio.gather(*(self.start_bot(bot) for bot in self.bots))

    async def start_llonebot(self):
        address = f"127.0.0.1:{self._llonebot_port}"
        options = ["--listen", address, "--token", LLONEBOT_TOKEN, "--rate", str(EVENTS_PER_SECOND)]
        await self.llonebot.start([self._program, "simulate", *options])

    async def start_bot(self, bot):
        await bot.start(f"127.0.0.1:{self._gateway_port}")

    async def catches_up(self, bot):
        """Waits until the gateway has handed over to the bot what happened; one event may just have come."""
        lag = rf'onebot_gateway_lag_events\{{consumer="{bot.name}"\}} [01]'
        await self._until_counted(lag, "it is still behind", seconds=60)

    async def counted(self, family):
        """The sum of the gateway's metrics that are like `family`, labels included."""
        lines = (await asyncio.to_thread(self._metrics)).splitlines()
        return sum(float(line.split()[-1]) for line in lines if re.match(rf"onebot_gateway_{family} ", line))

    def connections_to_llonebot(self):
        """Connections LLOneBot has open now, as the system counts them."""
        here = f"0100007F:{self._llonebot_port:04X}"
        with open("/proc/net/tcp") as table:
            sockets = [line.split() for line in table]
        return sum(fields[1] == here and fields[3] == ESTABLISHED for fields in sockets)

    def connections_llonebot_ever_saw(self):
        """Connections in LLOneBot's present life, by the numbers it gives them: `#1 open …`, `#1 call …`."""
        numbers = (re.match(r"#(\d+) ", line) for line in self.llonebot.lines)
        return max((int(number[1]) for number in numbers if number), default=0)

    async def __aenter__(self):
        shutil.rmtree(LOGS, ignore_errors=True)
        LOGS.mkdir(parents=True)
        return self

    async def __aexit__(self, *_):
        processes = [*self.bots, self.gateway, self.llonebot]
        for process in processes:
            process.send_signal(signal.SIGKILL)
        await asyncio.gather(*(process.wait() for process in processes))

    def _config(self):
        llonebot = f"ws://127.0.0.1:{self._llonebot_port}"
        tables = [
            f'server.listen = "127.0.0.1:{self._gateway_port}"',
            f'admin.listen = "127.0.0.1:{self._admin_port}"',
            f'upstream.main = {{ dial = "{llonebot}", token = "{LLONEBOT_TOKEN}", max_backoff = "1s" }}',
            'calls.wait_for_link = "1s"',
            *RULES,
            f'audit.file = "{LOGS / "audit.jsonl"}"',
        ]
        for bot in self.bots:
            at, way = f"127.0.0.1:{bot.port}", ""
            if path := bot.kind.reverse_ws:
                way = f', reverse_ws = {{ url = "ws://{at}{path}", max_backoff = "1s" }}'
            if path := bot.kind.webhook:
                url = f"http://{at}{path}"
                way = f', webhook = {{ url = "{url}", secret = "{bot.secret}", max_backoff = "1s" }}'
            tables.append(f'consumer.{bot.name} = {{ token = "{bot.token}", roles = ["bots"], events = {EVENT_RULES}{way} }}')
        return "\n".join(tables) + "\n"

    async def _until_counted(self, line, otherwise, seconds=30):
        """Waits until a line of the gateway's metrics is like `line`; fails with `otherwise`."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        while not re.search(rf"^{line}$", await asyncio.to_thread(self._metrics), re.MULTILINE):
            if self.gateway.ended:
                raise RuntimeError(f"the gateway ended with exit code {self.gateway.exit_code}")
            if clock() > deadline:
                raise TimeoutError(f"{otherwise} (waited {seconds} s)")
            await asyncio.sleep(0.1)

    def _metrics(self):
        # Whatever proxy is set is for other addresses than ours.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"http://127.0.0.1:{self._admin_port}/metrics", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""


class Process:
    """A process in a group of its own. What it says is kept in `lines`, and in a file."""

    def __init__(self, name):
        self.name = name
        self.log = LOGS / f"{name}.log"
        self.lines = []
        self._process = None
        self._reading = None

    @property
    def exit_code(self):
        return self._process.returncode

    @property
    def ended(self):
        return self.exit_code is not None

    async def start(self, command, **environment):
        self.lines = []
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=LOGS,
            env={**BARE_ENVIRONMENT, **environment},
            start_new_session=True,
            limit=1 << 22,
        )
        self._reading = asyncio.create_task(self._read(self._process.stdout))

    async def kill(self):
        """Ends it at once, without a farewell."""
        await self.end(signal.SIGKILL)

    async def end(self, number, seconds=10):
        """Sends it a signal and waits for its end."""
        self.send_signal(number)
        await self.wait(seconds)

    def send_signal(self, number):
        """Sends a signal to it and to whatever it started, if it was started and has not ended."""
        if self._process is not None and not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def wait(self, seconds=10):
        """Waits for its end, and for the last it said."""
        if self._process is not None:
            async with asyncio.timeout(seconds):
                await self._process.wait()
                await self._reading

    def print_end(self):
        """Shows the last of what it said."""
        print(f"--- {self.log}", *self.lines[-40:], sep="\n", flush=True)

    def heard(self, line):
        self.lines.append(line)

    async def _read(self, stdout):
        with self.log.open("a") as log:
            async for line in stdout:
                text = line.decode(errors="replace").rstrip("\n")
                print(text, file=log, flush=True)
                self.heard(text)
                _news.set()
        _news.set()


class Bot(Process):
    """A bot, which tells what it sees and does what it is told to, in lines of JSON."""

    def __init__(self, name, number, port):
        super().__init__(name)
        self.kind = frameworks.BOTS[name]
        self.number = number
        self.port = port
        self.token = f"token-of-{name}"
        self.secret = f"secret-of-{name}"
        self._ids = itertools.count(1)
        self._forget()

    async def start(self, gateway):
        self._forget()
        scheme = "http" if self.kind.webhook else "ws"
        await super().start(
            frameworks.command(self.name),
            ONEBOT_URL=f"{scheme}://{gateway}",
            ONEBOT_PORT=str(self.port),
            ONEBOT_SELF_ID=str(frameworks.SELF_ID),
            ONEBOT_TOKEN=self.token,
            ONEBOT_SECRET=self.secret,
        )

    async def do(self, what, seconds=30, **details):
        """Sends a command and returns what came of it."""
        number = next(self._ids)
        command = {"id": number, "do": what, **details}
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await until(lambda: number in self._outcomes or self.ended, f"it did not finish to {what}", seconds)
        if self.ended:
            raise RuntimeError(f"it ended with exit code {self.exit_code}")
        return self._outcomes.pop(number)

    def message_ids(self):
        return {message["message_id"] for message in self.messages}

    def comings_and_goings(self):
        return self.connected, self.disconnected

    def heard(self, line):
        try:
            report = json.loads(line)
            kind = report.get("saw")
        except (ValueError, AttributeError):
            # Not for us: the framework's own log.
            super().heard(line)
            return
        if "id" in report:
            self._outcomes[report["id"]] = report["outcome"]
        elif kind == "connected":
            self.connected += 1
            self.self_id = report["self_id"]
        elif kind == "disconnected":
            self.disconnected += 1
        elif kind == "message":
            self.messages.append(report)

    def _forget(self):
        self.connected = self.disconnected = 0
        self.self_id = None
        self.messages = []
        self._outcomes = {}


def free_ports(count):
    """Ports nobody listens on, from below the range the system takes ports of outgoing connections from: whoever dials
    a port of that range while nobody listens may be given it for its own end, and then talks to itself."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        lowest_outgoing = int(file.read().split()[0])
    ports = []
    while len(ports) < count:
        port = random.randrange(10_000, max(lowest_outgoing, 10_000 + 20 * count))
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports
