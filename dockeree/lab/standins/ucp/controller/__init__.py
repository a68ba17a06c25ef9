"""The role of ucp-controller: UCP's API and the Docker API over all nodes, over HTTPS."""
