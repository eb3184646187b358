//! Just enough of an HTTP client for one call at a time on a connection that is kept.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::number_after;

/// A whole request.
pub fn post(path: &str, token: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The body of the next answer, which has to be a 200 and to fit into `buffer`.
pub async fn read_answer<'a>(socket: &mut TcpStream, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut filled = 0;
    loop {
        let read = socket.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "hung up on");
        filled += read;
        let Some(head) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") else { continue };
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled]));
        let end = head + 4 + number_after(&buffer[..head], b"content-length: ");
        if filled >= end {
            return &buffer[head + 4..end];
        }
    }
}
