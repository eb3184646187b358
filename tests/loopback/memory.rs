//! Memory is bounded by the journal, whatever bots do.

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::daemon::{Daemon, PORTS_AND_LOG};
use crate::support::http::{Answer, bearer, handshake};
use crate::support::wire::Wire;
use crate::support::{TOKEN, WITNESS, anywhere, number, padded_event, simulator};

const MIB: usize = 1 << 20;
const JOURNAL: usize = 8 * MIB;
/// What events may take beside the journal: decoding buffers, queues of sessions, pages of the program that
/// were not touched before, and what the allocator keeps.
const BESIDE_THE_JOURNAL: usize = 8 * MIB;
/// 24 MB in all, three times what the journal holds.
const EVENTS: usize = 24_000;
const EVENT: usize = 1000;
/// Less than the journal holds, so that a bot that reads is never lost.
const AT_ONCE: usize = 1000;

#[tokio::test]
async fn memory_is_bounded_whatever_consumers_do() {
    let simulator = simulator(anywhere()).await;
    let toml = PORTS_AND_LOG.replace("[server]\n", "[server]\nwrite_timeout = \"1h\"\n");
    let daemon = Daemon::start(&format!(
        "{toml}[journal]\nevents = 1000000\nbytes = \"8 MiB\"\nage = \"1h\"\n[upstream.main]\ndial = \"ws://{}/\"\n\
         [consumer.stopped]\ntoken = \"{TOKEN}\"\n[consumer.reads]\ntoken = \"{WITNESS}\"\n",
        simulator.address().unwrap()
    ))
    .await;
    daemon.admin.ready().await;

    // A process that is stopped, as its peer sees it: the connection stays and nobody reads.
    let socket = TcpSocket::new_v4().unwrap();
    SockRef::from(&socket).set_recv_buffer_size(64 << 10).unwrap();
    let mut socket = socket.connect(daemon.address).await.unwrap();
    socket.write_all(handshake("/", &bearer()).as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut socket).await.status, 101);
    let other = async |path| Wire::bot_with(WITNESS, daemon.address, path).await;
    let mut others = [other("/").await, other("/event").await];

    let before = daemon.memory("VmHWM");
    let padding = EVENT - padded_event(0, 0).len();
    for first in (0..EVENTS).step_by(AT_ONCE) {
        for number in first..first + AT_ONCE {
            simulator.control().emit(padded_event(number, padding)).await;
        }
        for bot in &mut others {
            bot.expect_events(first..first + AT_ONCE).await;
        }
    }
    let most = daemon.memory("VmHWM");
    let grown = most - before;
    assert!(grown < JOURNAL + BESIDE_THE_JOURNAL, "{} MiB were added at most", grown / MIB);
    let metrics = daemon.admin.metrics().await;
    let (stopped, reads) = (&[("consumer", "stopped")], &[("consumer", "reads")]);
    assert!(metrics.get("journal_bytes", &[]) <= JOURNAL as f64);
    assert_eq!(metrics.get("sessions", stopped), 1.0, "the stopped one is still attached");
    assert!(metrics.get("lag_events", stopped) >= (EVENTS / 2) as f64);
    assert_eq!(metrics.get("missed_events_total", stopped), 0.0, "its gap is known when it reads on");

    // It goes on: what it had, a gap, and then everything to the end.
    let mut bot = Wire::new(WebSocketStream::from_raw_socket(socket, Role::Client, None).await);
    assert_eq!(bot.frame().await["sub_type"], "connect");
    let (mut next, mut missed, mut gaps) = (0, 0, 0);
    while next < EVENTS {
        let number = number(&bot.event().await);
        assert!(number >= next, "{number} came again or too late");
        missed += number - next;
        gaps += usize::from(number > next);
        next = number + 1;
    }
    assert!(missed > EVENTS / 3, "only {missed} events were missed");
    let metrics = daemon.admin.metrics().await;
    assert_eq!(metrics.get("missed_events_total", stopped), missed as f64);
    assert_eq!((metrics.get("gaps_total", stopped), gaps), (1.0, 1));
    assert_eq!(metrics.get("deliveries_total", stopped), (EVENTS - missed) as f64);
    assert_eq!(metrics.get("deliveries_total", reads), (2 * EVENTS) as f64);
    daemon.logged("fell off the journal").await;
    // And it is in the present again.
    simulator.control().emit(padded_event(EVENTS, 0)).await;
    bot.expect_events(EVENTS..EVENTS + 1).await;
    assert_eq!(bot.ask("get_status", 1).await["status"], "ok");
    daemon.logged("caught up").await;
}
