//! A simulated LLOneBot: the wire of LLOneBot 8.1.7 with an invented account behind it, or that of
//! another implementation ([`Profile`]).
//!
//! It answers every action of the catalogue from a small world of friends, groups and messages
//! (`account`), speaks forward and reverse WebSocket, makes events at a chosen rate, and misbehaves on request
//! ([`Behaviour`]). `onebot-gateway demo` and `simulate` run it, and so do the tests and benches.
//!
//! A frame's way: `connection` reads it, `envelope` says what it means, `behaviour` when and how it is
//! answered, `actions` what the answer is, and what it did to the account goes out as events first.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::protocol::Role as Side;

mod account;
mod actions;
mod behaviour;
mod connection;
mod control;
mod cq;
mod envelope;
mod events;
mod handshake;
mod meta;
mod object;
mod profile;
mod random;
mod record;
mod reverse;
mod server;
mod shared;

pub use behaviour::{Answer, Behaviour};
pub use control::Control;
pub use profile::{Profile, UnknownProfile};
pub use record::{Activity, RecordedCall};

use connection::Role;
use shared::Shared;

/// How long [`Simulator::stop`] lets peers answer its close frames before it hangs up on them.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What to simulate. The default is an idle account that nobody can reach over the network:
/// enough for [`Simulator::serve`].
#[derive(Clone)]
pub struct Config {
    /// Which implementation to be. [`Config::of`] sets the durations that go with it.
    pub profile: Profile,
    /// Where to serve forward WebSocket (LLOneBot's `ws`); port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// `ws://` addresses to dial (LLOneBot's `ws-reverse`), one connection each.
    pub reverse: Vec<String>,
    /// Dial each reverse address twice, once for calls and once for events, as Lagrange and go-cqhttp can;
    /// the others stay with one Universal connection.
    pub split_roles: bool,
    /// The token of every connection, both ways; empty for none.
    pub token: String,
    /// The account's QQ number.
    pub self_id: i64,
    /// Time between two heartbeats of one connection; LLOneBot's default is 60 s. Zero does not switch them
    /// off but sends one each millisecond, as LLOneBot does; the other implementations take it as off.
    pub heartbeat: Duration,
    /// Wait before a reverse connection is dialled again; LLOneBot always waits 3 s.
    pub reconnect: Duration,
    /// Invented events per second, 0 for none.
    pub events_per_second: f64,
    /// The same seed gives the same account, message ids, events and delays.
    pub seed: u64,
    /// Report the account's own messages as `message_sent` events (`reportSelfMessage`).
    pub report_self_message: bool,
    /// How calls are treated from the start.
    pub behaviour: Behaviour,
}

impl Config {
    /// The default, with the intervals of `profile`.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        let dialect = profile.dialect();
        Self {
            profile,
            listen: None,
            reverse: Vec::new(),
            split_roles: false,
            token: String::new(),
            self_id: account::SELF_ID,
            heartbeat: dialect.heart.period,
            reconnect: dialect.dialling.reconnect,
            events_per_second: 0.0,
            seed: 1,
            report_self_message: false,
            behaviour: Behaviour::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::of(Profile::default())
    }
}

/// A running simulated LLOneBot. Dropping it hangs up on everybody; [`Simulator::stop`] does it politely.
pub struct Simulator {
    control: Control,
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
}

impl Simulator {
    /// Starts everything `config` asks for and returns once the listener is bound.
    ///
    /// # Errors
    /// If the address cannot be bound, or a reverse address is not a `ws://` URL.
    pub async fn start(config: Config) -> io::Result<Self> {
        let targets =
            config.reverse.iter().map(|url| reverse::parse(url)).collect::<io::Result<Vec<Uri>>>()?;
        let listener = match config.listen {
            Some(address) => Some(TcpListener::bind(address).await?),
            None => None,
        };
        let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;

        let shared = Shared::new(config);
        if let Some(listener) = listener {
            shared.tracker.spawn(server::run(listener, Arc::clone(&shared)));
        }
        for target in targets {
            for identity in reverse::identities(&shared) {
                shared.tracker.spawn(reverse::run(target.clone(), identity, Arc::clone(&shared)));
            }
        }
        if shared.config.events_per_second > 0.0 {
            shared.tracker.spawn(events::run(Arc::clone(&shared)));
        }
        Ok(Self { control: Control::new(Arc::clone(&shared)), shared, address })
    }

    /// Where the forward WebSocket server listens, if it does.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The strings to pull while it runs.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Serves one byte stream as if a client had finished a good handshake on `/`: tests without a network
    /// hand in one half of a [`tokio::io::duplex`].
    pub fn serve(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        self.attach(io, Side::Server);
    }

    /// Speaks on one byte stream as if it had dialled and its handshake had succeeded (reverse WebSocket).
    pub fn connect(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        self.attach(io, Side::Client);
    }

    /// Closes every connection without a code, as LLOneBot does, and waits until all tasks have ended: at most
    /// two seconds for peers that do not answer.
    pub async fn stop(self) {
        self.shared.tracker.close();
        self.shared.shutdown.cancel();
        if tokio::time::timeout(STOP_GRACE, self.shared.tracker.wait()).await.is_err() {
            self.shared.abort.cancel();
            self.shared.tracker.wait().await;
        }
    }

    fn attach(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, side: Side) {
        let arrival = connection::Arrival { io, rest: Vec::new(), side };
        let refusing = self.shared.state().refusing;
        let seat = (!refusing).then(|| self.shared.seat(Role::UNIVERSAL, "in memory"));
        self.shared.tracker.spawn(connection::run(arrival, seat, Arc::clone(&self.shared)));
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.shutdown.cancel();
        self.shared.abort.cancel();
    }
}
