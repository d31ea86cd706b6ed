"""A favourite-books node in a page of Python: another reading of the wire format, for the tests of the Rust one.

It keeps every message it absorbed and sends them all, each round, to two random peers; it never repeats anything under
another TTL and drops a peer that does not answer OK. Prints what it knows as a line of JSON whenever that changes.
Messages in the variable ODD_MESSAGES, a list in JSON, go before all others.

Usage: favorite_books_peer.py SEED BOOK...    (SEED is a port, or 0 for none)
"""

import json
import os
import random
import sys
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.RLock()
odd = json.loads(os.environ.get("ODD_MESSAGES", "[]"))
peers, seen, cache, state = set(), set(), [], {}


def absorb(message):
    if message["ttl"] <= 0 or message["uuid"] in seen:
        return
    seen.add(message["uuid"])
    cache.append({**message, "ttl": message["ttl"] - 1})
    origin, payload = message["client_id"], message["payload"]
    if origin not in state or state[origin]["version"] < payload["version"]:
        state[origin] = payload
        print(json.dumps(state), flush=True)
    if origin != me:
        peers.add(origin)


class Handler(BaseHTTPRequestHandler):
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with lock:
            peers.add(self.path.strip("/").split("/")[1])
            known = list(peers)
        self.answer(known)

    def do_POST(self):
        gossip = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if set(gossip) != {"client_id", "messages"} or not gossip["messages"]:
            return self.answer({"status": "ERROR"})
        with lock:
            peers.add(gossip["client_id"])
            for message in gossip["messages"]:
                assert set(message) == {"uuid", "client_id", "payload", "ttl"}, message
                assert set(message["payload"]) == {"version", "book"}, message
                absorb(message)
        self.answer({"status": "OK"})

    def log_message(self, *_):
        pass


def call(peer, path, value=None):
    body = None if value is None else json.dumps(value).encode()
    with urllib.request.urlopen(f"http://localhost:{peer}{path}", body, timeout=5) as answer:
        return json.load(answer)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
me = str(server.server_port)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(me, flush=True)
if sys.argv[1] != "0":
    peers.update(set(call(sys.argv[1], f"/peers/{me}")) | {sys.argv[1]})
books = sys.argv[2:]
for tick in range(1_000_000):
    with lock:
        peers.discard(me)
        if tick % 10 == 0 and books:
            version = state.get(me, {"version": 0})["version"] + 1
            payload = {"version": version, "book": books.pop(0)}
            absorb({"uuid": str(uuid.uuid4()), "client_id": me, "payload": payload, "ttl": 3})
        chosen = random.sample(sorted(peers), min(2, len(peers)))
        gossip = {"client_id": me, "messages": odd + cache}
    for peer in chosen:
        try:
            taken = call(peer, "/gossip", gossip) == {"status": "OK"}
        except (OSError, ValueError):
            taken = False
        if not taken:
            print("dropped", peer, file=sys.stderr, flush=True)
            with lock:
                peers.discard(peer)
    time.sleep(0.1)
