"""Keeps the table of game servers from a queue of inventory events: python3 consumer.py QUEUE_URL [ENDPOINT]"""
import json, sys, time
from datetime import datetime
import boto3

servers, nodes = {}, {}  # newest event of each, by id and by instance or node name

def seconds(instant):
    return datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp()

def fold(event, heard):
    data = event["data"]
    if event["type"].startswith("dev.spotable.node."):
        key, order = data["instance_id"] or data["node"], (event["time"], data["sequence"])
        if key not in nodes or order > nodes[key][0]:
            nodes[key] = order, data
        return
    known = servers.get(data["game_server_id"])
    if known is None or known["status"] != "terminated" and data["sequence"] > known["sequence"]:
        # Only the length of the lease is the sender's: its clock may be wrong.
        lease = data["lease_expires_at"] and seconds(data["lease_expires_at"]) - seconds(event["time"])
        servers[data["game_server_id"]] = {**data, "alive_until": lease and heard + lease}

def status(server):
    _, node = nodes.get(server["instance_id"] or server["node"], (None, None))
    if server["status"] in ("terminated", "lost"):
        return server["status"]
    if server["alive_until"] <= time.time():
        return "lost"
    return "terminating" if node and node["status"] in ("interrupted", "drained") else server["status"]

if __name__ == "__main__":
    sqs = boto3.client("sqs", endpoint_url=sys.argv[2] if len(sys.argv) > 2 else None)
    while True:
        answer = sqs.receive_message(QueueUrl=sys.argv[1], MaxNumberOfMessages=10, WaitTimeSeconds=20, MessageSystemAttributeNames=["SentTimestamp"])
        for message in answer.get("Messages", []):
            try:
                fold(json.loads(message["Body"]), int(message["Attributes"]["SentTimestamp"]) / 1000)
            except (ValueError, KeyError, TypeError) as error:
                print("not an event:", repr(error), file=sys.stderr)
            sqs.delete_message(QueueUrl=sys.argv[1], ReceiptHandle=message["ReceiptHandle"])
        print(json.dumps({id: [status(server), server["public_hostname"], server["public_port"]] for id, server in servers.items()}), flush=True)
