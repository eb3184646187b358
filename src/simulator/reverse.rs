//! LLOneBot's `ws-reverse`: one Universal connection that we dial, for ever; some implementations can dial two,
//! one for calls and one for events.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::Role as Side;

use super::connection::{self, Arrival, Role};
use super::handshake::{self, Identity};
use super::record::Activity;
use super::shared::Shared;

/// LLOneBot gives up on a server that has not answered the handshake by then.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// Checks an address to dial.
///
/// # Errors
/// If it is not `ws://host[:port][/path]`.
pub(crate) fn parse(url: &str) -> io::Result<Uri> {
    let invalid =
        |reason: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("cannot dial '{url}': {reason}"));
    let uri: Uri = url.parse().map_err(|_| invalid("not a URL"))?;
    if uri.scheme_str() != Some("ws") {
        return Err(invalid("the simulator dials ws:// addresses only"));
    }
    Ok(uri)
}

/// How each of the connections to one address introduces itself.
pub(crate) fn identities(shared: &Shared) -> Vec<Identity> {
    let dialling = shared.dialect.dialling;
    let token = &shared.config.token;
    let authorizes = dialling.always_authorizes || !token.is_empty();
    let authorization = authorizes.then(|| format!("{} {token}", dialling.scheme).trim_end().to_owned());
    let as_role = |role, carries| Identity {
        self_id: shared.config.self_id,
        authorization: authorization.clone(),
        role,
        carries,
        user_agent: dialling.user_agent,
    };
    match dialling.split_roles.filter(|_| shared.config.split_roles) {
        Some((api, event)) => vec![as_role(api, Role::API), as_role(event, Role::EVENT)],
        None => vec![as_role("Universal", Role::UNIVERSAL)],
    }
}

/// Dials, speaks until the connection ends for whatever reason, waits, and dials again.
pub(crate) async fn run(target: Uri, identity: Identity, shared: Arc<Shared>) {
    loop {
        let dialling = timeout(HANDSHAKE_TIMEOUT, dial(&target, &identity));
        match shared.shutdown.run_until_cancelled(dialling).await {
            None => return,
            Some(Ok(Ok(arrival))) => {
                let seat = shared.seat(identity.carries, &shown(&target));
                connection::run(arrival, Some(seat), Arc::clone(&shared)).await;
            }
            Some(Ok(Err(error))) => fail(&target, &error.to_string(), &shared),
            Some(Err(_)) => fail(&target, "no answer to the handshake within 2 s", &shared),
        }
        if shared.shutdown.run_until_cancelled(sleep(shared.config.reconnect)).await.is_none() {
            return;
        }
    }
}

async fn dial(target: &Uri, identity: &Identity) -> io::Result<Arrival<TcpStream>> {
    let host = target.host().unwrap_or_default().trim_matches(['[', ']']);
    let mut io = TcpStream::connect((host, target.port_u16().unwrap_or(80))).await?;
    io.set_nodelay(true)?;
    let rest = handshake::request(&mut io, target, identity).await?;
    Ok(Arrival { io, rest, side: Side::Client })
}

fn fail(target: &Uri, reason: &str, shared: &Shared) {
    shared.note(Activity::Failed { reason: format!("{}: {reason}", shown(target)) });
}

/// An address without its query and user, which may hold a token.
fn shown(target: &Uri) -> String {
    let port = target.port_u16().unwrap_or(80);
    format!("ws://{}:{port}{}", target.host().unwrap_or_default(), target.path())
}
