"""What every benchmark needs: servers on a core of their own, the load client, peers, tables."""
