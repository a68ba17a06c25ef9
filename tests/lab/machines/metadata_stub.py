"""The least of a metadata service that cloud-init boots on: run inside a node's namespace with a JSON file of paths.

`meta-data/` is a tree of nested objects; `user-data` is text. IMDSv2's token is given and not asked for.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn


class Handler(BaseHTTPRequestHandler):
    tree: dict = {}

    def do_PUT(self) -> None:
        self.answer(200, "token")

    def do_GET(self) -> None:
        found = self.tree
        for part in self.path.strip("/").split("/")[1:]:
            if not isinstance(found, dict) or part not in found:
                return self.answer(404, "")
            found = found[part]
        if isinstance(found, dict):
            found = self.listing(found)
        self.answer(200, found)

    def listing(self, tree: dict) -> str:
        if self.path.strip("/").endswith("public-keys"):
            return "\n".join(f"{number}=operator" for number in tree)
        return "\n".join(f"{key}/" if isinstance(value, dict) else key for key, value in tree.items())

    def answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingMixIn, TCPServer):
    # Not HTTPServer: that looks its own address up in DNS before it listens.
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        Handler.tree = json.load(file)
    Server(("169.254.169.254", 80), Handler).serve_forever()
