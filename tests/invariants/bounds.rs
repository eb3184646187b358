//! What the gateway keeps has a bound, whoever does what.

use futures_util::future::join_all;
use onebot_gateway::downstream::Channel;
use onebot_gateway::net::Outgoing;
use onebot_gateway::net::websocket::Role;
use tokio::time::{Duration, sleep, timeout};

use crate::bot::{call, field, retcode};
use crate::gateway::Gateway;
use crate::upstream::event;

const PIPE: usize = 4 << 10;

/// Bots that never read: what was taken out of the journal for each is no more than its queue holds.
#[tokio::test(start_paused = true)]
async fn memory_is_bounded_whatever_consumers_do() {
    const SIZE: usize = 10_000;
    const JOURNAL: usize = 1 << 20;
    /// What the link reads at once, and so the size of a segment, up to one event more.
    const SEGMENT: usize = (64 << 10) + SIZE;
    let gateway = Gateway::with(|setup| setup.journal.bytes = JOURNAL);
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumers: Vec<_> = (0..10).map(|n| gateway.consumer(&format!("bot{n}"))).collect();
    let attach = |consumer| gateway.attach_over(consumer, Channel::Universal, Role::Server, PIPE);
    let _bots: Vec<_> = consumers.iter().map(attach).collect();
    for sent in 1..=1000 {
        upstream.send(event(&"x".repeat(SIZE))).await;
        gateway.has_appended(sent).await;
        // Over all this time heartbeats and pings are due too.
        sleep(Duration::from_millis(25)).await;
        assert!(gateway.metric("journal_bytes") as usize <= JOURNAL + SEGMENT);
    }
    for n in 0..10 {
        let taken = gateway.metric(&format!(r#"deliveries_total{{consumer="bot{n}"}}"#)) as usize;
        let queued = taken * SIZE;
        assert!(queued <= Outgoing::HIGH_WATER + SEGMENT + PIPE, "{queued}");
        assert_eq!(gateway.metric(&format!(r#"sessions{{consumer="bot{n}"}}"#)), 1);
    }
}

/// Bots that call and never read the answers: soon they are not read any more either.
#[tokio::test(start_paused = true)]
async fn a_consumer_that_reads_no_answers_is_not_read_either() {
    const ANSWER: usize = 5000;
    const SLOTS: usize = 256;
    let gateway = Gateway::new();
    let (mut upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut bot = gateway.attach_over(&consumer, Channel::Universal, Role::Server, PIPE);
    let flood = async {
        let calls = (0..100_000).map(|n| call("get_recent_contact", "{}", &n.to_string()));
        timeout(Duration::from_secs(20), bot.send_all(calls)).await
    };
    let answer = async {
        let mut answered = 0;
        while let Ok(Some(call)) = timeout(Duration::from_secs(5), upstream.next_call()).await {
            upstream.send(call.ok(&format!("\"{}\"", "x".repeat(ANSWER)))).await;
            answered += 1;
        }
        answered
    };
    let (flood, answered) = tokio::join!(flood, answer);
    assert!(flood.is_err(), "100,000 calls were taken from a bot that reads no answer");
    let bound = Outgoing::HIGH_WATER / ANSWER + SLOTS + 1;
    assert!(answered <= bound, "{answered} calls were sent, expected at most {bound}");
}

/// LLOneBot does not read: calls wait up to `calls.queue_bytes`, then their senders do.
#[tokio::test(start_paused = true)]
async fn calls_for_an_upstream_that_does_not_read_are_bounded() {
    const QUEUE: usize = 1 << 20;
    const CALL: usize = 100_000;
    let gateway = Gateway::with(|setup| setup.calls.queue_bytes = QUEUE);
    let (_upstream, _link) = gateway.link_by_hand().await;
    let mut bots: Vec<_> = (0..4).map(|n| gateway.attach(&gateway.consumer(&format!("bot{n}")))).collect();
    let calls = || {
        (0..100).map(|n| {
            let params = format!(r#"{{"message":"{}"}}"#, "x".repeat(CALL));
            call("send_group_msg", &params, &n.to_string())
        })
    };
    let questions = gateway.hub.open_calls();
    let flood = join_all(bots.iter_mut().map(|bot| bot.send_all(calls())));
    assert!(timeout(Duration::from_secs(20), flood).await.is_err(), "40 MB were taken");
    let open = (gateway.hub.open_calls() - questions) * CALL;
    assert!(open <= QUEUE + Outgoing::HIGH_WATER + 3 * CALL + (64 << 10), "{open} bytes of calls");
}

/// Room is made by calls that are sent, and by calls that are given up: whoever waits for it goes on.
#[tokio::test(start_paused = true)]
async fn a_session_that_waits_for_room_goes_on_when_waiting_calls_are_given_up() {
    let gateway = Gateway::with(|setup| setup.calls.queue_bytes = 1000);
    let mut bots: Vec<_> = (0..3).map(|n| gateway.attach(&gateway.consumer(&format!("bot{n}")))).collect();
    for bot in &mut bots {
        for echo in ["1", "2"] {
            bot.call("send_group_msg", &format!(r#"{{"message":"{}"}}"#, "x".repeat(2000)), echo).await;
        }
    }
    for bot in &mut bots {
        for echo in [1, 2] {
            let reply = bot.reply().await;
            assert_eq!((retcode(&reply), field(&reply, "echo")), (1502, echo.into()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_for_room_goes_on_when_the_link_breaks() {
    let gateway = Gateway::with(|setup| setup.calls.queue_bytes = 1000);
    let (upstream, _link) = gateway.link_by_hand().await;
    let mut bot = gateway.attach(&gateway.consumer("bot"));
    bot.meta().await;
    // More than the link's queue and connection hold, so that the last one waits for room.
    let params = format!(r#"{{"message":"{}"}}"#, "x".repeat(400_000));
    let calls = ["1", "2", "3"].map(|echo| call("send_group_msg", &params, echo));
    let gone = async {
        sleep(Duration::from_secs(1)).await;
        drop(upstream);
    };
    let (replies, ()) = tokio::join!(bot.call_all(calls.into()), gone);
    assert_eq!(replies.iter().map(|reply| retcode(reply)).collect::<Vec<_>>(), [1502; 3]);
}

/// Frames that are no calls are answered too, and the answers are larger.
#[tokio::test(start_paused = true)]
async fn nonsense_from_a_consumer_that_reads_nothing_is_bounded() {
    let gateway = Gateway::new();
    let (_upstream, _link) = gateway.link_by_hand().await;
    let consumer = gateway.consumer("bot");
    let mut bot = gateway.attach_over(&consumer, Channel::Universal, Role::Server, PIPE);
    let nonsense = (0..200_000).map(|_| "x".to_owned());
    assert!(timeout(Duration::from_secs(20), bot.send_all(nonsense)).await.is_err());
    let answered = gateway.metric(r#"bad_frames_total{consumer="bot"}"#) as usize;
    // Until its queue is full, and then what one more read brings.
    assert!(answered * 200 <= 2 * Outgoing::HIGH_WATER + PIPE * 40, "{answered} answers");
}
