//! LLOneBot's `ws`: the forward WebSocket server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::Role as Side;

use super::connection::{self, Arrival, Role};
use super::handshake::{self, Head};
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
    let handshake = timeout(HANDSHAKE_TIMEOUT, shake_hands(&mut io));
    let Some(Ok(Ok(Some(head)))) = shared.shutdown.run_until_cancelled(handshake).await else { return };
    let welcome = handshake::is_authorized(&head, &shared.config.token) && !shared.state().refusing;
    let (path, _) = head.target();
    let seat = welcome.then(|| shared.seat(Role::of_path(path), &format!("{path} from {peer}")));
    let arrival = Arrival { io, rest: head.rest, side: Side::Server };
    connection::run(arrival, seat, shared).await;
}

async fn shake_hands(io: &mut TcpStream) -> io::Result<Option<Head>> {
    io.set_nodelay(true)?;
    let head = Head::read(io).await?;
    Ok(handshake::accept(io, &head).await?.then_some(head))
}
