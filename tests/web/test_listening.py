import socket
from contextlib import closing

from nearer.web.listening import listen_at


def test_an_answer_is_sent_at_once_however_it_is_cut_into_packets():
    with closing(listen_at("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with closing(accepted):
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
