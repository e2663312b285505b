"""Looks up swarms in libtorrent's DHT, so many at a time. Reads a task as JSON on stdin, prints the outcome as JSON.

The session listens on loopback alone: a socket bound there cannot send beyond this machine.
"""
import json
import resource
import socket
import sys
import time

import libtorrent as lt

# Seldom when it takes long: the polling shall not be what is measured.
POLL_S, POLL_SHARE, POLL_MAX_S = 0.002, 0.01, 0.05
BOOTSTRAP_S = 10

task = json.load(sys.stdin)
six = task["family"] == 6
loopback = "[::1]" if six else "127.0.0.1"


def key(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


bootstrap = [(node["address"], node["port"]) for node in task["bootstrap"]]
category = lt.alert.category_t
session = lt.session({
    "listen_interfaces": f"{loopback}:0",
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": ",".join(key(*node) for node in bootstrap),
    # All nodes share loopback's networks, and have no ids that fit their addresses.
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False,
    "dht_ignore_dark_internet": False,
    "dht_upload_rate_limit": 100_000_000,
    # At the system's default replies get lost, and a lookup waits seconds for each.
    "recv_socket_buffer_size": 4_194_304,
    "alert_queue_size": 1_000_000,
    "alert_mask": category.dht_notification | category.dht_operation_notification,
})

joined = False
deadline = time.monotonic() + BOOTSTRAP_S
while not joined and time.monotonic() < deadline:
    session.wait_for_alert(100)
    joined = any(isinstance(alert, lt.dht_bootstrap_alert) for alert in session.pop_alerts())

with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as reset:
    reset.sendto(b"RESET", bootstrap[0])

# Each passes over the DHT once; several lookups make a thorough one.
passes = 1 if task["depth"] == "quick" else 3
waiting = [digest for digest in task["hashes"] for _ in range(passes)][::-1]
total = len(waiting)
found = {digest: set() for digest in task["hashes"]}


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


cpu_before, started = cpu(), time.monotonic()
under_way = 0
while time.monotonic() - started < task["limitMs"] / 1000:
    while waiting and under_way < task["inFlight"]:
        session.dht_get_peers(lt.sha1_hash(bytes.fromhex(waiting.pop())))
        under_way += 1
    session.post_dht_stats()
    for alert in session.pop_alerts():
        if isinstance(alert, lt.dht_get_peers_reply_alert):
            found[str(alert.info_hash)].update(alert.peers())
        elif isinstance(alert, lt.dht_stats_alert):
            under_way = sum(lookup["type"].endswith("get_peers") for lookup in alert.active_requests)
    if not waiting and under_way == 0:
        break
    time.sleep(min(max(POLL_S, (time.monotonic() - started) * POLL_SHARE), POLL_MAX_S))
elapsed, cpu_used = time.monotonic() - started, cpu() - cpu_before

json.dump({
    "cost": {
        "timeMs": elapsed * 1000,
        "cpuMs": cpu_used * 1000,
        "peakRssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    },
    "completed": (total - len(waiting) - under_way) / passes,
    "found": {digest: [key(*peer) for peer in peers] for digest, peers in found.items()},
}, sys.stdout)
