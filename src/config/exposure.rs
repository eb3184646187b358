//! Rules between sections: who could get in.

use std::net::SocketAddr;

use super::problem::Report;
use crate::downstream::Consumer;
use crate::policy::Secret;
use crate::upstream::{self, Endpoint};
use crate::{admin, net};

/// How the tokens of the `gateway.toml` that is shipped begin: everybody knows them.
const PLACEHOLDERS: [&str; 1] = ["change-me"];
/// Fewer characters can be guessed over a network.
const SHORTEST_TOKEN: usize = 16;

/// Reports what would let a stranger in, or one bot pass for another.
pub(super) fn check(
    server: &net::listener::Config,
    admin: &admin::Config,
    upstream: Option<&upstream::Config>,
    consumers: &[Consumer],
    report: &mut Report<'_>,
) {
    if collide(server.listen, admin.listen) {
        let message = format!("takes the address of server.listen ({}); choose another port", server.listen);
        report.refuse(&["admin", "listen"], message);
    }
    for (index, consumer) in consumers.iter().enumerate() {
        let key = ["consumer", consumer.name.as_str(), "token"];
        if let Some(other) = consumers.iter().take(index).find(|other| other.token == consumer.token) {
            let message = format!(
                "is the token of `consumer.{}` too, so nobody could tell the two bots apart; give each its own",
                other.name
            );
            report.refuse(&key, message);
        }
        if !is_local(server.listen) {
            strong(&consumer.token, "server.listen", server.listen, &key, report);
        }
    }
    if let Some(upstream) = upstream.filter(|upstream| matches!(upstream.endpoint, Endpoint::Accept(_))) {
        demanded(
            upstream.token.as_ref(),
            "server.listen",
            server.listen,
            &["upstream", &upstream.name, "token"],
            report,
        );
    }
    demanded(admin.token.as_ref(), "admin.listen", admin.listen, &["admin", "token"], report);
}

fn demanded(
    token: Option<&Secret>,
    listener: &str,
    address: SocketAddr,
    key: &[&str],
    report: &mut Report<'_>,
) {
    if is_local(address) {
        return;
    }
    match token {
        Some(token) => strong(token, listener, address, key, report),
        None => report.missing(
            key,
            format!("missing, and the network can reach {listener} ({address}); make one with `openssl rand -hex 16`"),
        ),
    }
}

fn strong(token: &Secret, listener: &str, address: SocketAddr, key: &[&str], report: &mut Report<'_>) {
    let text = token.expose();
    let weakness = if PLACEHOLDERS.iter().any(|placeholder| text.starts_with(placeholder)) {
        "is the placeholder that everybody knows".to_owned()
    } else if text.len() < SHORTEST_TOKEN {
        format!("has less than {SHORTEST_TOKEN} characters")
    } else {
        return;
    };
    let message = format!(
        "{weakness}, and the network can reach {listener} ({address}); make one with `openssl rand -hex 16`"
    );
    report.refuse(key, message);
}

fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Whether the second of the two could not be bound. Port 0 takes a free port.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |a: SocketAddr, b: SocketAddr| {
        a.ip() == b.ip() || (a.ip().is_unspecified() && (a.is_ipv6() || b.is_ipv4()))
    };
    one.port() != 0 && one.port() == other.port() && (covers(one, other) || covers(other, one))
}
