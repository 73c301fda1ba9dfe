"""For agents: send, ask, take what comes in, look into lives and deaths; over one's own daemon.

Standard library only, blocking, safe to use from several threads. Not for the daemon itself.

    from fleet_agent.client import Client
    bus = Client()                                     # the daemon of this machine
    sent = bus.send("bezalel", {"do": "review"})       # on disk when it returns
    answer = bus.ask("bezalel", "2+2?", timeout=30)    # waits for the response
    print(answer.payload, bus.life(sent.id))
    for received in bus.receive():                     # one message after the other, for ever
        with received:                                 # acked at its end; given back if it raises
            bus.reply(received.message, work(received.message.payload))
"""

from fleet_agent.client.api import Client
from fleet_agent.client.calls import SOCKET_VARIABLE
from fleet_agent.client.received import Received
from fleet_agent.client.values import GivenUp, Message, NoResponse, NotHandled, Sent

__all__ = [
    "SOCKET_VARIABLE", "Client", "GivenUp", "Message", "NoResponse", "NotHandled", "Received",
    "Sent",
]  # fmt: skip
