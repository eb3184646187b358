//! LLOneBot's `ws`: the forward WebSocket server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::Role as Side;

use super::connection::{self, Arrival, Role};
use super::handshake::{self, Head, Verdict};
use super::profile::Refusal;
use super::shared::Shared;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept: the usual cause is a lack of file descriptors, which only time cures.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts clients until the simulator stops.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Some(accepted) = shared.shutdown.run_until_cancelled(listener.accept()).await else { return };
        match accepted {
            Ok((io, peer)) => {
                shared.tracker.spawn(welcome(io, peer, Arc::clone(&shared)));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn welcome(mut io: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let handshake = timeout(HANDSHAKE_TIMEOUT, shake_hands(&mut io, &shared));
    let Some(Ok(Ok(Some((head, welcome))))) = shared.shutdown.run_until_cancelled(handshake).await else {
        return;
    };
    let (path, _) = head.target();
    let role = Role::of_path(path, shared.dialect.paths);
    let seat = welcome.then(|| shared.seat(role, &format!("{path} from {peer}")));
    let arrival = Arrival { io, rest: head.rest, side: Side::Server };
    connection::run(arrival, seat, shared).await;
}

/// The client's head and whether it may stay; `None` if the handshake is over without a WebSocket.
async fn shake_hands(io: &mut TcpStream, shared: &Shared) -> io::Result<Option<(Head, bool)>> {
    io.set_nodelay(true)?;
    let head = Head::read(io).await?;
    let verdict = match handshake::judge(&head, &shared.config.token, shared.dialect.tokens) {
        Verdict::Welcome if shared.state().refusing => Verdict::Wrong,
        verdict => verdict,
    };
    if let Refusal::InHandshake { missing, wrong } = shared.dialect.refusal
        && verdict != Verdict::Welcome
    {
        shared.note_refusal();
        handshake::refuse(io, if verdict == Verdict::Missing { missing } else { wrong }).await?;
        return Ok(None);
    }
    Ok(handshake::accept(io, &head).await?.then_some((head, verdict == Verdict::Welcome)))
}
