//! A connection's life: heartbeats, events, its end.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use onebot_gateway::simulator::Config;
use serde_json::json;
use tokio::io::duplex;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::peer::{closing, in_memory, join, next, reply};

#[tokio::test(start_paused = true)]
async fn heartbeats_come_after_each_interval_and_tell_the_truth() {
    let config = Config { heartbeat: Duration::from_secs(5), ..Config::default() };
    let (simulator, mut client) = in_memory(config).await;
    let begun = tokio::time::Instant::now();
    let heartbeat = next(&mut client).await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert!(
        heartbeat.ends_with(
            r#","self_id":2847190563,"post_type":"meta_event","meta_event_type":"heartbeat","status":{"online":true,"good":true},"interval":5000}"#
        ),
        "{heartbeat}"
    );
    simulator.control().offline(true);
    assert_eq!(reply(&mut client).await["status"], json!({"online": false, "good": true}));
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_gets_two_pongs() {
    let (simulator, mut client) = in_memory(Config::default()).await;
    client.send(Message::Ping(Bytes::from_static(b"p"))).await.unwrap();
    let mut pongs = BTreeSet::new();
    while pongs.len() < 2 {
        if let Message::Pong(payload) = client.next().await.unwrap().unwrap() {
            pongs.insert(payload);
        }
    }
    assert_eq!(pongs, BTreeSet::from([Bytes::new(), Bytes::from_static(b"p")]));
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_reach_everybody_byte_for_byte_in_order() {
    let (simulator, mut one) = in_memory(Config::default()).await;
    let mut two = join(&simulator).await;
    let control = simulator.control().clone();
    let emitting = async {
        for number in 0..1000 {
            assert_eq!(control.emit(format!(r#"{{ "n" : {number} }}"#)).await, 2);
        }
    };
    let reading = async {
        for number in 0..1000 {
            for client in [&mut one, &mut two] {
                assert_eq!(next(client).await, format!(r#"{{ "n" : {number} }}"#));
            }
        }
    };
    tokio::join!(emitting, reading);
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn recorded_events_come_round() {
    let (simulator, mut client) = in_memory(Config { self_id: 42, ..Config::default() }).await;
    let mut events = Vec::new();
    for _ in 0..41 {
        simulator.control().emit_sample().await;
        events.push(next(&mut client).await);
    }
    assert!(events.iter().all(|event| event.contains(r#""self_id":42,"#)));
    assert_eq!(events[0], events[40]);
    assert_eq!(events.iter().collect::<BTreeSet<_>>().len(), 40);
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_are_invented_at_the_configured_rate() {
    let config = Config { events_per_second: 100.0, ..Config::default() };
    let (simulator, mut client) = in_memory(config).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..500 {
        assert_eq!(reply(&mut client).await["self_id"], 2_847_190_563_i64);
    }
    assert_eq!(begun.elapsed().as_secs_f64().round().to_string(), "5");
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn connections_end_as_asked() {
    let (simulator, mut client) = in_memory(Config::default()).await;
    let control = simulator.control();
    assert_eq!((control.connections(), control.total_connections()), (1, 1));
    control.close(Some(1011)).await;
    assert_eq!(closing(&mut client).await, Some((1011, String::new())));
    control.wait_for(|control| control.connections() == 0).await;

    let mut client = join(&simulator).await;
    control.close(None).await;
    assert_eq!(closing(&mut client).await, None);

    let mut client = join(&simulator).await;
    control.disconnect();
    assert!(!matches!(client.next().await, Some(Ok(_))));

    control.refuse(true);
    let (ours, theirs) = duplex(1 << 16);
    simulator.serve(theirs);
    let mut client = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    assert_eq!(reply(&mut client).await["retcode"], 1403);
    assert_eq!(control.total_connections(), 3);
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_without_a_code_and_ends_within_its_grace() {
    let (simulator, mut polite) = in_memory(Config::default()).await;
    let (silent, theirs) = duplex(64);
    simulator.serve(theirs);
    let (closed, ()) = tokio::join!(closing(&mut polite), simulator.stop());
    assert_eq!(closed, None);
    drop(silent);
}
