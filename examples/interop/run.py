"""Runs the TypeScript and the Python client against a real broker and a real service, and prints what held.

    run.py      from `make interop`; SEALPROVE and SEALPROVE_NATS_SERVER name other binaries than the project's

It ends with 0 only when everything held. What it starts, it ends, and nothing takes longer than its limit.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL

import tools

SEALPROVE = Path(os.environ.get("SEALPROVE", tools.PROJECT / "target" / "debug" / "sealprove")).resolve()
NATS_SERVER = Path(os.environ.get("SEALPROVE_NATS_SERVER", tools.PROJECT / ".tools" / "bin" / "nats-server")).resolve()
VECTORS = tools.PROJECT / "schemas" / "vectors"
WHOLE_RUN = 540
ONE_COMMAND = 60

CLIENTS: dict[str, dict[str, list[str]]] = {
    "TypeScript": {
        name: ["node", str(tools.TYPESCRIPT / "dist" / f"{name}.js")] for name in ("prove", "interop", "testkit")
    },
    "Python": {
        name: [str(tools.INTERPRETER), str(tools.PYTHON / f"{name}.py")] for name in ("prove", "interop", "testkit")
    },
}


class Wrong(Exception):
    """A case did not hold; the message says what came instead."""


class Stage:
    """The private deployment, and the folder in which everything of the run is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SEALPROVE_")},
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "home"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, command: list[str], until: str) -> dict[str, str]:
        """Starts a program and reads its lines until one begins with `until`; each is a name and its value."""
        log = (self.folder / f"{len(self._started)}.log").open("w")
        started = subprocess.Popen(
            command,
            env=self.environment,
            stdin=DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        self._started.append(started)
        lines: dict[str, str] = {}
        assert started.stdout is not None
        for line in started.stdout:
            name, _, value = line.strip().partition(" ")
            lines[name] = value.strip()
            if line.startswith(until):
                return lines
        raise Wrong(f"{command[0]} ended before it was ready: {Path(log.name).read_text()[-500:]}")

    def end(self) -> None:
        """Ends what was started, gently first, and then everything that is left of it."""
        for started in reversed(self._started):
            started.send_signal(signal.SIGINT)
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(started.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def run(self, command: list[str], expect: int = 0) -> str:
        """The standard output of a program that ends as expected; and the standard error where that is not 0."""
        environment, limit = self.environment, ONE_COMMAND
        try:
            ended = subprocess.run(
                command, check=False, env=environment, timeout=limit, text=True, stdin=DEVNULL, capture_output=True
            )
        except subprocess.TimeoutExpired:
            raise Wrong(f"still running after {limit} s: {' '.join(command[1:4])}") from None
        if ended.returncode != expect:
            said = (ended.stdout + ended.stderr).strip()[-4000:]
            raise Wrong(f"ended with {ended.returncode}, not {expect}: {said}")
        return ended.stdout if expect in (0, 4) else ended.stdout + ended.stderr


class Client:
    """One of the two clients, as its user runs it."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name
        self.folder = stage.folder / name
        self.folder.mkdir()
        self._files = 0

    def program(self, program: str, *words: str, expect: int = 0) -> str:
        return self.stage.run([*CLIENTS[self.name][program], *words], expect)

    def prove(self, *words: str, expect: int = 0, state: str = "state") -> dict[str, object]:
        said = self.program("prove", *words, "--state", str(self.folder / state), expect=expect)
        found: dict[str, object] = json.loads(said)
        return found

    def interop(self, case: str, circuit: str, *words: str) -> str:
        witness = str(self.stage.folder / f"{circuit}.json")
        return self.program("interop", case, circuit, witness, *words, "--state", str(self.folder / "state"))

    def file(self) -> Path:
        self._files += 1
        return self.folder / str(self._files)


Case = Callable[[Client], None]


def demand(held: bool, what: str) -> None:
    if not held:
        raise Wrong(what)


def witness(client: Client, name: str) -> str:
    return str(client.stage.folder / f"{name}.json")


def proves(scheme: str, *options: str) -> Case:
    """Seals, submits, waits, opens, checks; and the project's own verifier verifies the proof."""

    def case(client: Client) -> None:
        out = client.file()
        words = ["threshold-v1", witness(client, "threshold-v1"), "--scheme", scheme, "--out", str(out), *options]
        said = client.prove(*words)
        demand(said["result"] == "proved", f"no proof: {said}")
        verified = client.stage.run([str(SEALPROVE), "verify", str(out)])
        demand(str(said["publicInputs"]) in verified, "another proof was verified than the client reported")

    return case


def refused(scheme: str, *options: str) -> Case:
    """A witness that is not valid: the answer is authenticated, and says so."""

    def case(client: Client) -> None:
        said = client.program(
            "prove", "threshold-v1", witness(client, "too-small"), "--scheme", scheme, *options,
            "--state", str(client.folder / "state"), expect=3,
        )  # fmt: skip
        demand('"INVALID_WITNESS"' in said, said)

    return case


def submitted(client: Client, *options: str) -> Path:
    ticket = client.file()
    client.prove("submit", "threshold-v1", witness(client, "threshold-v1"), "--ticket", str(ticket), *options)
    demand(ticket.stat().st_mode & 0o777 == 0o600, "others may read the ticket")
    return ticket


def comes_back(client: Client) -> None:
    """Submits in one process and collects in another; sealed with X-Wing, since nothing else was asked for."""
    ticket = submitted(client)
    sealed = json.loads(ticket.read_text())["enc"]
    demand(len(sealed) == 1496, "not sealed with X-Wing, although the bundle lists such a key")  # 1120 bytes in base64
    demand(client.prove("answer", str(ticket))["result"] == "proved", "no proof")


def stranger(*options: str) -> Case:
    """The answer to somebody else's job does not open, with a ticket of one's own that names it."""

    def case(client: Client) -> None:
        theirs = client.file()
        command = [str(SEALPROVE), "submit", "threshold-v1", witness(client, "threshold-v1"), "--ticket", str(theirs)]
        client.stage.run([*command, *options])
        client.stage.run([str(SEALPROVE), "answer", str(theirs), "--wait"])
        job = re.search(r"\b[0-9a-f]{32}\b", theirs.read_text())
        if job is None:
            raise Wrong("the command line's ticket names no job")
        ticket = submitted(client, *options)
        members = json.loads(ticket.read_text())
        ticket.write_text(json.dumps({**members, "job": job[0]}))
        demand(client.prove("answer", str(ticket), expect=4)["code"] == "OK", "not the hint that was to come")

    return case


def through(case: str, circuit: str, *options: str) -> Case:
    def run(client: Client) -> None:
        client.interop(case, circuit, *options)

    return run


def bundle(identity: str) -> list[tuple[str, Case]]:
    """What is accepted, and what is refused after it, and why."""

    def accepted(name: str) -> Case:
        def case(client: Client) -> None:
            for _ in range(2):  # the same serial again is not an older one
                client.prove("bundle", "--identity", identity, "--prefix", f"{name}.v1", state="bundles")

        return case

    def refuses(name: str, why: str) -> Case:
        def case(client: Client) -> None:
            state = str(client.folder / "bundles")
            words = ["bundle", "--identity", identity, "--prefix", f"{name}.v1", "--state", state]
            said = client.program("prove", *words, expect=1)
            demand(why in said, said)

        return case

    return [
        ("bundle: a good one, twice", accepted("newer")),
        ("bundle: an older serial is refused", refuses("older", "was seen")),
        ("bundle: an expired one is refused", refuses("expired", "expired")),
        ("bundle: one of another identity is refused", refuses("foreign", "not signed by the pinned identity")),
        ("bundle: one changed after signing is refused", refuses("changed", "not signed by the pinned identity")),
        ("bundle: the kept one serves while no service runs", accepted("nobody")),
    ]


def cases(identity: str) -> list[tuple[str, Case]]:
    matrix: list[tuple[str, Case]] = []
    for scheme in ("xwing", "x25519"):
        express, changed = ("--open", "--lane", "express"), ("tampered", "threshold-v1", "--scheme", scheme)
        matrix += [
            (f"{scheme}, sealed answer: proved, verified", proves(scheme)),
            (f"{scheme}, open answer, express: proved, verified", proves(scheme, *express)),
            (f"{scheme}, sealed answer: INVALID_WITNESS", refused(scheme)),
            (f"{scheme}, open answer: INVALID_WITNESS", refused(scheme, "--open")),
            (f"{scheme}, changed header: hint UNSEAL_FAILED", through(*changed)),
        ]
    return [
        *matrix,
        ("xwing preferred; collected by another process", comes_back),
        ("the command line's sealed answer does not open", stranger()),
        ("the command line's open answer is not ours", stranger("--open")),
        ("forged sealed answer is a hint", through("forged", "threshold-v1")),
        ("forged open answer is a hint", through("forged", "threshold-v1", "--open")),
        ("acks: taken, duplicate, full, nobody", through("acks", "threshold-v1")),
        ("cancelled: hint CANCELLED; not-found", through("cancel", "membership-v1")),
        *bundle(identity),
    ]


def judges_vectors(client: Client) -> None:
    print(f"\n{client.name}, test vectors\n{client.program('testkit', str(VECTORS))}", end="")


def crosswise(clients: list[Client]) -> list[tuple[str, str]]:
    """The two examples write the same ticket: each collects what the other has submitted."""

    def collects_from(one: Client) -> Case:
        def case(other: Client) -> None:
            demand(other.prove("answer", str(submitted(one)))["result"] == "proved", "no proof")

        return case

    pairs = (clients, clients[::-1])
    return [(f"{one.name} submits, {other.name} collects", attempt(collects_from(one), other)) for one, other in pairs]


def attempt(case: Case, client: Client) -> str:
    """`held`, or what came instead."""
    try:
        case(client)
        return "held"
    except (Wrong, json.JSONDecodeError, KeyError, OSError) as error:
        return f"WRONG {error}"


def print_table(names: list[str], rows: list[tuple[str, list[str]]]) -> int:
    width = max(len(row) for row, _ in rows)
    print(f"\n{'':{width}}  " + "  ".join(f"{name:10}" for name in names))
    for row, results in rows:
        print(f"{row:{width}}  " + "  ".join(f"{result.split()[0]:10}" for result in results))
    wrong = [(row, result) for row, results in rows for result in results if result != "held"]
    for row, result in wrong:
        print(f"\n{row}:\n    {result}")
    return len(wrong)


def run(stage: Stage) -> int:
    dev = [str(SEALPROVE), "dev", "--dir", str(stage.folder / "dev"), "--nats-server", str(NATS_SERVER)]
    said = stage.start([*dev, "--circuit", "threshold-v1", "--circuit", "membership-v1"], until="identity")
    stage.environment |= {
        "SEALPROVE_URL": said["broker"],
        "SEALPROVE_IDENTITY": said["identity"],
        "SEALPROVE_CLIENT": str(stage.folder / "dev" / "client.toml"),
    }
    for circuit in ("threshold-v1", "membership-v1"):
        (stage.folder / f"{circuit}.json").write_text(stage.run([str(SEALPROVE), "sample", circuit]))
    sample = json.loads((stage.folder / "threshold-v1.json").read_text())
    too_small = {**sample, "threshold": str(int(sample["value"]) + 1)}
    (stage.folder / "too-small.json").write_text(json.dumps(too_small))
    bundles = Path(__file__).with_name("bundles.py")
    served = stage.start([str(tools.INTERPRETER), str(bundles), said["broker"]], until="ed25519:")
    identity = next(iter(served))

    clients = [Client(stage, name) for name in CLIENTS]
    rows = [(name, [attempt(case, client) for client in clients]) for name, case in cases(identity)]
    rows += [(name, [result]) for name, result in crosswise(clients)]
    rows.append(("test vectors: every verdict", [attempt(judges_vectors, client) for client in clients]))
    wrong = print_table(list(CLIENTS), rows)
    total = sum(len(results) for _, results in rows)
    print(f"\n{total - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


def main() -> int:
    for needed, remedy in ((SEALPROVE, "cargo build --locked"), (NATS_SERVER, "make tools")):
        if not needed.exists():
            print(f"{needed} is missing; this makes it: {remedy}", file=sys.stderr)
            return 2
    try:
        tools.install()
    except tools.Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"not done after {WHOLE_RUN} s"))
    signal.alarm(WHOLE_RUN)
    with tempfile.TemporaryDirectory(prefix="sealprove-interop-") as folder:
        stage = Stage(Path(folder))
        try:
            return run(stage)
        finally:
            stage.end()


if __name__ == "__main__":
    sys.exit(main())
