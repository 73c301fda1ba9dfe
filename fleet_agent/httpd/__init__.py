"""HTTP/1.1 server and client: parse, loop, connection, router."""
