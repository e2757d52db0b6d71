"""The server's side of HTTP/2, written by hand: frames are simple, and speed is needed."""

from simulator.http2.connection import Http2Connection, Surroundings

__all__ = ["Http2Connection", "Surroundings"]
