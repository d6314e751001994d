"""What it costs to serve phones their files: CPU of the server's processes, for each kind of request.

    .venv/bin/python bench/files.py [--before CHECKOUT] [--phones 880] [--rounds 3]

Phones of all makers, of a company of 7,000, ask one after the other, with a connection for each request.
Another checkout with its .venv is measured in turns with this one. It prints the least of the rounds, in
microseconds.
"""

import argparse
from pathlib import Path

import httpx
from power_cut import devices, phones_of
from servers import FILES_ADDRESS, Blfd, Server

from provisioning import Device, book_name, find, names

WARM_UP = 50  # requests after which all that is loaded once is loaded


class Phone:
    """A phone that asks for its files: by the address with its secret, or by digest."""

    def __init__(self, model: str, mac: str, path: str, user_agent: str, files: list[str]) -> None:
        self.path, self.files, self.user_agent = path, files, user_agent
        device = Device(mac, find(model), ())
        self.main, self.book = names(device)[-1], book_name(device)
        self.digest = httpx.DigestAuth(mac, path.split("/")[2])

    def ask(self, client: httpx.Client, name: str, method: str = "GET", **more: str) -> httpx.Response:
        return client.request(method, self.path + name, headers={"User-Agent": self.user_agent, **more})

    def ask_with_digest(self, client: httpx.Client, name: str) -> httpx.Response:
        return client.get(f"/{name}", headers={"User-Agent": self.user_agent}, auth=self.digest)


def measure(server: Server, count: int) -> dict[str, float]:
    """The microseconds of each kind of request."""
    phones = [Phone(**phone) for phone in phones_of(server, count)]
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=f"http://{FILES_ADDRESS}", limits=limits, timeout=60) as client:
        for phone in phones[:WARM_UP]:
            phone.ask(client, phone.main)
            phone.ask(client, phone.book)
        tags = [phone.ask(client, phone.main).headers.get("etag", "") for phone in phones]
        kinds = {
            "all that phones ask for, in their order": lambda: [
                phone.ask(client, name) for phone in phones for name in phone.files
            ],
            "the main file": lambda: [phone.ask(client, phone.main) for phone in phones],
            "the phonebook": lambda: [phone.ask(client, phone.book) for phone in phones],
            "a file that is not there": lambda: [phone.ask(client, "x.cfg") for phone in phones],
            "the main file, with digest and its challenge": lambda: [
                phone.ask_with_digest(client, phone.main) for phone in phones
            ],
            "the main file, HEAD": lambda: [phone.ask(client, phone.main, "HEAD") for phone in phones],
            "the main file, which the phone has": lambda: [
                phone.ask(client, phone.main, **{"If-None-Match": tag})
                for phone, tag in zip(phones, tags, strict=True)
            ],
        }
        found = {}
        for kind, ask in kinds.items():
            before = server.cpu_seconds()
            answers = ask()
            found[kind] = (server.cpu_seconds() - before) / len(answers) * 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--before", type=Path, help="another checkout of blfd with its .venv")
    parser.add_argument("--phones", type=int, default=880)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    peers = [Blfd("now")]
    if given.before:
        peers.insert(0, Blfd("before", given.before.resolve()))
    found: dict[str, dict[str, float]] = {}
    for _ in range(given.rounds):
        for peer in peers:
            with peer.provisioning(devices(given.phones)) as server:
                for kind, cost in measure(server, given.phones).items():
                    of_kind = found.setdefault(kind, {})
                    of_kind[peer.name] = min(cost, of_kind.get(peer.name, cost))
    print(f"{'CPU in us':<46} " + " ".join(f"{peer.name:>7}" for peer in peers))
    for kind, costs in found.items():
        print(f"{kind:<46} " + " ".join(f"{costs[peer.name]:>7.0f}" for peer in peers))


if __name__ == "__main__":
    main()
