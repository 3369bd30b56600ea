"""The peer: what a small Python start script does for a game. Takes a free port, tells SQS, runs the game, tells SQS again."""

import os
import signal
import socket
import subprocess
import sys

import boto3


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def main():
    port = free_port()
    sqs = boto3.client("sqs")

    def publish(status):
        sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=f"[{{'status': '{status}', 'public_port': {port}}}]")

    if "--quiet" not in sys.argv[1]:
        publish("ready")
    game = subprocess.Popen(sys.argv[2:], env={**os.environ, "SERVER_PORT": str(port)})

    def stop(number, frame):
        publish("terminating")
        game.terminate()

    signal.signal(signal.SIGTERM, stop)
    sys.stdout.flush()
    sys.exit(game.wait())


main()
