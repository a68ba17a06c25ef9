"""The stand-in for Universal Control Plane (Mirantis Kubernetes Engine): one program in several roles.

    ucp-tool install …     the bootstrapper: `docker run --name ucp -v SOCKET:SOCKET IMAGE …`
      -> service ucp-agent, a task on each node
           -> ucp-reconcile, which ends       makes the node's certificates and containers
                -> ucp-proxy                  each node: the engine's socket behind mutual TLS, port 12376
                -> ucp-controller             managers: UCP's API and the Docker API, ports 443 and 6443
                -> ucp-cluster-root-ca, ucp-client-root-ca    managers: hand the authorities to later managers

Containers of UCP that nothing here needs (etcd, RethinkDB, Kubernetes) are there by name and sleep. What is kept for
the whole cluster (accounts, licence, configuration) lies in swarm configs, which only managers can read.
"""
