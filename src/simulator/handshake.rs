//! The HTTP side of a WebSocket: reading a head, judging it, answering it.
//!
//! Written out by hand so that spelling and order of the headers are LLOneBot's own.

use std::io;

use http::Uri;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::connection::Role;
use super::profile::{Scheme, Tokens};

/// A head longer than this is refused (Node's own limit).
const MAX_HEAD: usize = 16 << 10;

/// The start line and headers of one HTTP message.
pub(crate) struct Head {
    start_line: String,
    headers: Vec<(String, String)>,
    /// What the peer sent after its head: the first WebSocket frames.
    pub(crate) rest: Vec<u8>,
}

impl Head {
    /// Reads up to the empty line.
    ///
    /// # Errors
    /// If the peer hangs up, or sends more than 16 KiB, or not HTTP.
    pub(crate) async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(1024);
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                return Self::parse(&bytes, rest);
            }
            if bytes.len() > MAX_HEAD {
                return Err(invalid("the HTTP head is longer than 16 KiB"));
            }
            if io.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn parse(head: &[u8], rest: Vec<u8>) -> io::Result<Self> {
        let text = std::str::from_utf8(head).map_err(|_| invalid("the HTTP head is not UTF-8"))?;
        let mut lines = text.split("\r\n");
        let start_line = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Self { start_line, headers, rest })
    }

    /// A header by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Path and query of a request.
    pub(crate) fn target(&self) -> (&str, &str) {
        let target = self.start_line.split(' ').nth(1).unwrap_or("/");
        target.split_once('?').unwrap_or((target, ""))
    }

    fn is_upgrade(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default().to_ascii_lowercase();
        let upgrade = self.header("upgrade").unwrap_or_default();
        self.start_line.starts_with("GET ")
            && connection.contains("upgrade")
            && upgrade.eq_ignore_ascii_case("websocket")
    }
}

/// Answers an upgrade request as the server of LLOneBot does: 101 on every path, from any origin,
/// with the first subprotocol offered and no extension. Returns false if it was refused with 426 or 400.
///
/// # Errors
/// If the answer cannot be written.
pub(crate) async fn accept(io: &mut (impl AsyncWrite + Unpin), head: &Head) -> io::Result<bool> {
    let key = head.header("sec-websocket-key").filter(|key| is_key(key));
    let version = head.header("sec-websocket-version").unwrap_or_default();
    let answer = match key {
        _ if !head.is_upgrade() => {
            error("426 Upgrade Required", "Content-Type: text/plain", "Upgrade Required")
        }
        None => {
            error("400 Bad Request", "Content-Type: text/html", "Missing or invalid Sec-WebSocket-Key header")
        }
        Some(_) if !matches!(version, "13" | "8") => error(
            "400 Bad Request",
            "Sec-WebSocket-Version: 13, 8\r\nContent-Type: text/html",
            "Missing or invalid Sec-WebSocket-Version header",
        ),
        Some(key) => {
            let protocol = head
                .header("sec-websocket-protocol")
                .and_then(|offered| offered.split(',').next())
                .map(|first| format!("Sec-WebSocket-Protocol: {}\r\n", first.trim()))
                .unwrap_or_default();
            let accept = derive_accept_key(key.as_bytes());
            let upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
            let upgrade = format!("{upgrade}Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n");
            io.write_all(upgrade.as_bytes()).await?;
            return Ok(true);
        }
    };
    io.write_all(answer.as_bytes()).await?;
    io.shutdown().await?;
    Ok(false)
}

/// What a reverse connection says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) self_id: i64,
    pub(crate) authorization: Option<String>,
    /// The value of `X-Client-Role`, and what it means.
    pub(crate) role: &'static str,
    pub(crate) carries: Role,
    pub(crate) user_agent: &'static str,
}

/// Dials in as the reverse client of LLOneBot does and returns the bytes that came after the 101.
///
/// # Errors
/// If the server hangs up or answers with anything but a 101 for this very request.
pub(crate) async fn request(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    url: &Uri,
    identity: &Identity,
) -> io::Result<Vec<u8>> {
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let host = url.authority().map_or("", http::uri::Authority::as_str);
    let Identity { self_id, authorization, role, user_agent, .. } = identity;
    let authorization = authorization.as_deref().map(|value| format!("Authorization: {value}\r\n"));
    let authorization = authorization.unwrap_or_default();
    let key = generate_key();
    let request = format!(
        "GET {path} HTTP/1.1\r\nX-Self-ID: {self_id}\r\n{authorization}x-client-role: {role}\r\n\
         User-Agent: {user_agent}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nHost: {host}\r\n\r\n"
    );
    io.write_all(request.as_bytes()).await?;
    let head = Head::read(io).await?;
    let accepted = head.header("sec-websocket-accept") == Some(&derive_accept_key(key.as_bytes()));
    if head.start_line.split(' ').nth(1) != Some("101") || !accepted {
        return Err(invalid(&format!(
            "the server answered '{}' instead of a WebSocket upgrade",
            head.start_line
        )));
    }
    Ok(head.rest)
}

/// What a client's token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Welcome,
    Missing,
    Wrong,
}

/// Judges a client by the token it shows. The first place where one is decides alone.
pub(crate) fn judge(head: &Head, token: &str, rule: Tokens) -> Verdict {
    let (_, query) = head.target();
    let in_query = query.split('&').find_map(|pair| pair.strip_prefix("access_token=")).map(percent_decoded);
    let in_header =
        head.header("authorization").map(|header| rule.scheme.token_of(header).as_bytes().to_vec());
    let shown = if rule.query_first {
        in_query.filter(|token| !token.is_empty()).or(in_header)
    } else {
        in_header.or(in_query)
    };
    match shown {
        _ if token.is_empty() => Verdict::Welcome,
        Some(shown) if shown == token.as_bytes() => Verdict::Welcome,
        Some(shown) if !shown.is_empty() => Verdict::Wrong,
        _ => Verdict::Missing,
    }
}

impl Scheme {
    fn token_of(self, header: &str) -> &str {
        match self {
            Self::AfterBearer => header.rsplit("Bearer ").next().unwrap_or_default(),
            Self::OnlyBearer => header.strip_prefix("Bearer ").unwrap_or_default(),
            Self::AfterAnyWord => header.split_once(' ').map_or(header, |(_, token)| token),
        }
    }
}

/// Turns a client away without a 101.
///
/// # Errors
/// If the answer cannot be written.
pub(crate) async fn refuse(io: &mut (impl AsyncWrite + Unpin), status: &str) -> io::Result<()> {
    io.write_all(error(status, "Content-Type: text/plain", "").as_bytes()).await?;
    io.shutdown().await
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let escape = tail.split_at_checked(2).and_then(|(digits, after)| {
            let value = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            Some((value, after))
        });
        match (byte, escape) {
            (b'%', Some((value, after))) => {
                decoded.push(value);
                rest = after;
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    decoded
}

fn is_key(key: &str) -> bool {
    key.len() == 24
        && key.strip_suffix("==").is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        })
}

fn error(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
